// Validates the R4 resources given as a JSON list on standard input; prints the errors of each.
const { Fhir } = require("fhir");

const fhir = new Fhir();
let given = "";
process.stdin.on("data", (piece) => (given += piece));
process.stdin.on("end", () => {
  const told = JSON.parse(given).map((resource) =>
    fhir
      .validate(resource, { errorOnUnexpected: true })
      .messages.filter((message) => message.severity === "error" || message.severity === "fatal")
      .map((message) => `${message.location}: ${message.message}`),
  );
  process.stdout.write(JSON.stringify(told));
});
