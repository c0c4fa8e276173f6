// graphql-ws's client: node websocket.mjs URL CREDENTIAL [OPTIONS] does what it is told and prints what happens, both as
// lines of JSON. A subscription with the variable `after` goes on, when its client comes again, after the last `eventId`.
import { createInterface } from "node:readline";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, credential, options = "{}"] = process.argv.slice(2);
const { final = [], ...given } = JSON.parse(options);
const tell = (what) => console.log(JSON.stringify(what));
const shown = (error) => (Array.isArray(error) ? error : { code: error.code, reason: error.reason, message: error.message });

const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { Authorization: `Bearer ${credential}` },
  retryAttempts: Infinity,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
  shouldRetry: (event) => !final.includes(event.code),
  onNonLazyError: (error) => tell({ lost: shown(error) }),
  on: {
    connecting: (again) => tell({ connecting: again }),
    connected: () => tell({ connected: true }),
    closed: ({ code, reason }) => tell({ closed: code, reason }),
    ping: (received, payload = null) => tell({ ping: received ? "heard" : "said", payload }),
    pong: (received) => tell({ pong: received ? "heard" : "said" }),
  },
  ...given,
});

const leave = {};
for await (const line of createInterface({ input: process.stdin })) {
  const { id, run, variables = {}, complete, dispose } = JSON.parse(line);
  if (run !== undefined) {
    leave[id] = client.subscribe(
      { query: run, variables },
      {
        next: ({ data, errors }) => {
          const [item] = Object.values(data ?? {});
          if ("after" in variables && item?.eventId) variables.after = item.eventId;
          tell({ id, next: data, errors });
        },
        error: (error) => tell({ id, error: shown(error) }),
        complete: () => tell({ id, complete: true }),
      },
    );
  }
  if (complete !== undefined) leave[complete]();
  if (dispose) client.dispose();
}
process.exit();
