// ocpp-rpc's client in strict mode, which checks every frame of ours against the standard's schemas:
// node charger.mjs {"endpoint", "identity", "protocol", "answers"} makes the calls that it reads as lines of JSON,
// {"call": ACTION, "payload"}, and prints {"answer"} or {"error"} for each; orders are answered from the table and
// printed as {"order", "payload"}.
import { createRequire } from "node:module";
import readline from "node:readline";
import ocppRpc from "ocpp-rpc";

// It looks its schemas up by names that those of 2.1, as it ships them, do not have.
const named = ($id) => $id.replace(/Request$/, ".req").replace(/Response$/, ".conf");
const schemas = createRequire(import.meta.url)("ocpp-rpc/lib/schemas/ocpp2_1.json");
const validator = ocppRpc.createValidator("ocpp2.1", schemas.map((schema) => ({ ...schema, $id: named(schema.$id) })));

const { endpoint, identity, protocol, answers } = JSON.parse(process.argv[2]);
const say = (said) => console.log(JSON.stringify(said));
const client = new ocppRpc.RPCClient({
  endpoint, identity, protocols: [protocol], strictMode: true, strictModeValidators: [validator], reconnect: false, callTimeoutMs: 30_000,
});
for (const action of Object.keys(answers)) {
  client.handle(action, ({ params }) => {
    say({ order: action, payload: params });
    return answers[action];
  });
}
client.on("strictValidationFailure", ({ error, isCall, method }) => say({ strict: String(error), isCall, method }));
client.on("badMessage", ({ error }) => say({ bad: String(error) }));

await client.connect();
say({ protocol: client.protocol });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { call, payload } = JSON.parse(line);
  try {
    say({ answer: await client.call(call, payload) });
  } catch (error) {
    say({ error: error.rpcErrorCode ?? error.message, details: error.details });
  }
}
await client.close();
