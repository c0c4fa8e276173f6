// graphql-sse's client: node streams.mjs URL CREDENTIAL [OPTIONS] does what it is told and prints what happens, both as
// lines of JSON. When it comes again it says which `eventId` was the last: in the variable `after` where there is one, else
// in the header `Last-Event-ID`.
import { createInterface } from "node:readline";
import { createClient } from "graphql-sse";

const [url, credential, options = "{}"] = process.argv.slice(2);
const tell = (what) => console.log(JSON.stringify(what));
const shown = (error) => ({ status: error.response?.status, message: error.message });
const last = new Map();

const client = createClient({
  url,
  headers: ({ variables }) => ({
    authorization: `Bearer ${credential}`,
    ...(last.has(variables) && !("after" in variables) ? { "last-event-id": last.get(variables) } : {}),
  }),
  retryAttempts: Infinity,
  retry: () => new Promise((resolve) => setTimeout(resolve, 50)),
  on: { connecting: (again) => tell({ connecting: again }), connected: () => tell({ connected: true }) },
  ...JSON.parse(options),
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
          if (item?.eventId) {
            last.set(variables, item.eventId);
            if ("after" in variables) variables.after = item.eventId;
          }
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
