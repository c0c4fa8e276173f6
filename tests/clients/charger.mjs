// ocpp-rpc's client in strict mode, which checks every frame of ours against the standard's schemas:
// node charger.mjs {"endpoint", "identity", "protocol", "answers"} makes the calls that it reads as lines of JSON,
// {"call": ACTION, "payload"}, and prints {"answer"} or {"error"} for each; orders are answered from the table and
// printed as {"order", "payload"}.
import readline from "node:readline";
import ocppRpc from "ocpp-rpc";

const { endpoint, identity, protocol, answers } = JSON.parse(process.argv[2]);
const say = (said) => console.log(JSON.stringify(said));
const client = new ocppRpc.RPCClient({
  endpoint, identity, protocols: [protocol], strictMode: true, reconnect: false, callTimeoutMs: 30_000,
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
