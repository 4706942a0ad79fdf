// A program that knows nothing but the client of the Translator Speech API: prints what it is told.
const fs = require("fs");
const Service = require("ms-translator-speech-service");

const [host, key, path, from, to, voice, out] = process.argv.slice(2);
const say = (body) => console.log(JSON.stringify(body));
const service = new Service({
  subscriptionKey: key,
  fromLanguage: from,
  toLanguage: to,
  features: { partial: true, timingInfo: true, textToSpeech: true },
  voice,
});
service.speechTranslateUrl = service.speechTranslateUrl.replace("wss://dev.microsofttranslator.com", host);
service.issueTokenUrl = `${host.replace("ws", "http")}/sts/v1.0/issueToken`;

let finals = 0;
service.start((error, session) => {
  if (error) {
    say({ event: "error", text: String(error) });
    process.exit(1);
  }
  session.on("message", (message) => {
    if (message.type === "utf8") {
      const body = JSON.parse(message.utf8Data);
      say(body);
      finals += body.type === "final";
    } else {
      fs.writeFileSync(out, message.binaryData);
      say({ event: "speech", bytes: message.binaryData.length });
      if (finals) service.stop(() => process.exit(0));
    }
  });
  session.sendFile(path);
});
