// Prints what happens to every charge, each event once, and comes back when the line breaks: graphql-ws.

import { createClient } from "graphql-ws";

const CHARGES = `
  subscription ($after: ID) {
    sessionUpdates(after: $after) { kind eventId session { id station { identity } status energyWh powerW } }
  }
`;

interface Update {
  kind: "SNAPSHOT" | "STARTED" | "METERED" | "SUSPENDED" | "RESUMED" | "STOPPED";
  eventId: string | null;
  session: { id: string; station: { identity: string } | null; status: string; energyWh: number; powerW: number | null };
}

const AGAIN = ["RESYNC", "UNAVAILABLE", "TIMEOUT", "INTERNAL"]; // of errors: how it is may be otherwise in a while
const FORBIDDEN = 4403; // the other codes that would come again, graphql-ws knows itself

/** How things are, then the news, for ever. After a break, what was missed, or how things are by then. */
function follow(url: string, credential: string, told: (update: Update) => void): Promise<never> {
  const client = createClient({
    url,
    connectionParams: { Authorization: `Bearer ${credential}` },
    retryAttempts: Infinity,
    retryWait: pause,
    shouldRetry: (why) => !(isClose(why) && why.code === FORBIDDEN),
  });
  const variables: { after: string | null } = { after: null }; // is read whenever the client comes again
  return new Promise((_, refuse) => {
    const subscribe = () =>
      client.subscribe<{ sessionUpdates: Update }>(
        { query: CHARGES, variables },
        {
          next({ data }) {
            if (!data) return;
            variables.after = data.sessionUpdates.eventId ?? variables.after;
            told(data.sessionUpdates);
          },
          error: (why) => (passes(why) ? void pause().then(subscribe) : refuse(why)),
          complete: () => void pause().then(subscribe),
        },
      );
    subscribe();
  });
}

function passes(why: unknown): boolean {
  return Array.isArray(why) && why.every((error) => AGAIN.includes(error.extensions?.code));
}

function isClose(why: unknown): why is { code: number; reason: string } {
  return typeof why === "object" && why !== null && "code" in why && "reason" in why;
}

/** With some chance in it: when a server restarts, everybody comes again. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * 2000));
}

try {
  const [, , url = "", credential = process.env.VOLTGRAPH_CREDENTIAL ?? ""] = process.argv;
  await follow(url, credential, (update) => console.log(JSON.stringify(update)));
} catch (why) {
  console.error(isClose(why) ? `${why.code} ${why.reason}` : why);
  process.exit(1);
}
