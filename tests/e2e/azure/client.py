"""A program that knows nothing but Azure's Python SDK: prints what it is told, a JSON object a line."""

import json
import sys
import threading

import azure.cognitiveservices.speech as speech

HOST, WHAT, *ARGUMENTS = sys.argv[1:]


def say(**what):
    sys.stdout.write(json.dumps(what, ensure_ascii=False) + "\n")  # in one piece: the SDK calls on many threads
    sys.stdout.flush()


def told(result):
    body = {"reason": result.reason.name, "text": result.text}
    if result.reason == speech.ResultReason.NoMatch:
        body["details"] = result.no_match_details.reason.name
    if hasattr(result, "translations"):
        body["translations"] = dict(result.translations)
    return body | {"offset": result.offset / 1e7, "duration": result.duration / 1e7}


def config(kind=speech.SpeechConfig, locale="en-US", **more):
    made = kind(host=HOST, **more)
    made.speech_recognition_language = locale
    return made


def run(recognizer):
    """Run until the file is over, telling everything."""
    over = threading.Event()
    recognizer.recognizing.connect(lambda e: say(event="recognizing", **told(e.result)))
    recognizer.recognized.connect(lambda e: say(event="recognized", **told(e.result), json=json.loads(e.result.json)))
    recognizer.canceled.connect(
        lambda e: say(
            event="canceled", reason=e.cancellation_details.reason.name, details=e.cancellation_details.error_details
        )
    )
    recognizer.session_stopped.connect(lambda e: over.set())
    recognizer.start_continuous_recognition_async().get()
    over.wait(120)
    recognizer.stop_continuous_recognition_async().get()


def converse(path, locale="en-US", *options):
    """Transcribe what several people say."""
    made = config(locale=locale)
    if "intermediate" in options:
        made.set_property(speech.PropertyId.SpeechServiceResponse_DiarizeIntermediateResults, "true")
    transcriber = speech.transcription.ConversationTranscriber(made, file(path))
    over = threading.Event()
    who = lambda result: {"speaker": result.speaker_id, **told(result)}  # noqa: E731
    transcriber.transcribing.connect(lambda e: say(event="transcribing", **who(e.result)))
    transcriber.transcribed.connect(lambda e: say(event="transcribed", **who(e.result)))
    transcriber.canceled.connect(
        lambda e: say(
            event="canceled", reason=e.cancellation_details.reason.name, details=e.cancellation_details.error_details
        )
    )
    transcriber.session_stopped.connect(lambda e: over.set())
    transcriber.start_transcribing_async().get()
    over.wait(120)
    transcriber.stop_transcribing_async().get()


def file(path):
    return speech.audio.AudioConfig(filename=path)


def once(path, locale="en-US"):
    result = speech.SpeechRecognizer(config(locale=locale), file(path)).recognize_once()
    details = result.cancellation_details.error_details if result.reason == speech.ResultReason.Canceled else ""
    say(event="recognized", **told(result), error=details)


def continuous(path, locale="en-US", *options):
    made = config(locale=locale)
    if "detailed" in options:
        made.output_format = speech.OutputFormat.Detailed
    if "words" in options:
        made.request_word_level_timestamps()
    if "masked" in options:
        made.set_profanity(speech.ProfanityOption.Masked)
    if "truetext" in options:
        made.set_property(speech.PropertyId.SpeechServiceResponse_PostProcessingOption, "TrueText")
    recognizer = speech.SpeechRecognizer(made, file(path))
    if "phrases" in options:
        speech.PhraseListGrammar.from_recognizer(recognizer).addPhrase("incredulity")
    run(recognizer)


def translate(path, locale, targets, voice=""):
    made = config(speech.translation.SpeechTranslationConfig, locale)
    for target in targets.split(","):
        made.add_target_language(target)
    if voice:
        made.voice_name = voice
    recognizer = speech.translation.TranslationRecognizer(made, audio_config=file(path))
    recognizer.synthesizing.connect(
        lambda e: say(event="synthesizing", reason=e.result.reason.name, audio=e.result.audio.hex())
    )
    run(recognizer)


def identify(path, *locales):
    among = speech.languageconfig.AutoDetectSourceLanguageConfig(languages=list(locales))
    recognizer = speech.SpeechRecognizer(
        speech.SpeechConfig(host=HOST), auto_detect_source_language_config=among, audio_config=file(path)
    )
    result = recognizer.recognize_once()
    language = result.properties.get(speech.PropertyId.SpeechServiceConnection_AutoDetectSourceLanguageResult)
    say(event="recognized", **told(result), language=language)


def speak(ssml, out, name=""):
    made = config()
    if name:
        made.set_speech_synthesis_output_format(speech.SpeechSynthesisOutputFormat[name])
    made.request_word_level_timestamps()
    made.set_property(speech.PropertyId.SpeechServiceResponse_RequestSentenceBoundary, "true")
    synthesizer = speech.SpeechSynthesizer(made, None)
    synthesizer.synthesis_word_boundary.connect(
        lambda e: say(event="boundary", kind=e.boundary_type.name, offset=e.audio_offset / 1e7, text=e.text)
    )
    synthesizer.bookmark_reached.connect(lambda e: say(event="bookmark", offset=e.audio_offset / 1e7, text=e.text))
    result = synthesizer.speak_ssml_async(ssml).get()
    error = result.cancellation_details.error_details if result.reason == speech.ResultReason.Canceled else ""
    with open(out, "wb") as sound:  # noqa: PTH123 - this program is as plain as its readers
        sound.write(result.audio_data)
    duration = result.audio_duration.total_seconds()
    say(event="spoken", reason=result.reason.name, duration=duration, error=error)


def voices():
    result = speech.SpeechSynthesizer(speech.SpeechConfig(host=HOST), None).get_voices_async("").get()
    say(event="voices", names=[voice.short_name for voice in result.voices], locales=[v.locale for v in result.voices])


globals()[WHAT](*ARGUMENTS)
