// A program that knows nothing but Azure's JavaScript SDK: prints what it is told, a JSON object a line.
const fs = require("fs");
const sdk = require("microsoft-cognitiveservices-speech-sdk");

const [host, what, ...args] = process.argv.slice(2);
const say = (body) => console.log(JSON.stringify(body));
const file = (path) => sdk.AudioConfig.fromWavFileInput(fs.readFileSync(path));
const reason = (result) => sdk.ResultReason[result.reason];

const programs = {
  once(path, locale) {
    const config = sdk.SpeechConfig.fromHost(new URL(host));
    config.speechRecognitionLanguage = locale;
    const recognizer = new sdk.SpeechRecognizer(config, file(path));
    recognizer.recognizeOnceAsync((result) => {
      say({ event: "recognized", reason: reason(result), text: result.text, error: result.errorDetails });
      recognizer.close();
    });
  },

  converse(path, locale) {
    const config = sdk.SpeechConfig.fromHost(new URL(host));
    config.speechRecognitionLanguage = locale;
    const transcriber = new sdk.ConversationTranscriber(config, file(path));
    const told = (event) => (_, e) =>
      say({
        event,
        reason: reason(e.result),
        speaker: e.result.speakerId,
        text: e.result.text,
        offset: e.result.offset / 1e7,
        duration: e.result.duration / 1e7,
      });
    transcriber.transcribing = told("transcribing");
    transcriber.transcribed = told("transcribed");
    transcriber.canceled = (_, e) => say({ event: "canceled", reason: sdk.CancellationReason[e.reason], details: e.errorDetails });
    transcriber.sessionStopped = () => transcriber.stopTranscribingAsync(() => transcriber.close());
    transcriber.startTranscribingAsync();
  },

  translate(path, locale, targets, voice, v1) {
    const config = sdk.SpeechTranslationConfig.fromHost(new URL(host));
    config.speechRecognitionLanguage = locale;
    targets.split(",").forEach((target) => config.addTargetLanguage(target));
    if (voice) config.voiceName = voice;
    if (v1) config.setProperty("SPEECH-ForceV1Endpoint", "true");
    const recognizer = new sdk.TranslationRecognizer(config, file(path));
    const told = (event) => (_, e) => {
      const translations = {};
      for (const target of targets.split(",")) translations[target] = e.result.translations?.get(target);
      say({ event, reason: reason(e.result), text: e.result.text, translations });
    };
    recognizer.recognizing = told("recognizing");
    recognizer.recognized = told("recognized");
    recognizer.synthesizing = (_, e) =>
      say({
        event: "synthesizing",
        reason: reason(e.result),
        audio: e.result.audio ? Buffer.from(e.result.audio).toString("hex") : "",
      });
    recognizer.canceled = (_, e) => say({ event: "canceled", reason: sdk.CancellationReason[e.reason], details: e.errorDetails });
    recognizer.sessionStopped = () => recognizer.stopContinuousRecognitionAsync(() => recognizer.close());
    recognizer.startContinuousRecognitionAsync();
  },

  speak(voice, text, out) {
    const config = sdk.SpeechConfig.fromHost(new URL(host));
    config.speechSynthesisVoiceName = voice;
    const synthesizer = new sdk.SpeechSynthesizer(config, null);
    synthesizer.wordBoundary = (_, e) => say({ event: "boundary", kind: e.boundaryType, text: e.text });
    synthesizer.speakTextAsync(text, (result) => {
      if (result.audioData) fs.writeFileSync(out, Buffer.from(result.audioData));
      say({ event: "spoken", reason: reason(result), error: result.errorDetails });
      synthesizer.close();
    });
  },
};

programs[what](...args);
