// graphql-sse's client: node events.mjs URL CREDENTIAL QUERY [COUNT] prints data and errors as lines of JSON, and leaves
// after so many.
import { createClient } from "graphql-sse";

const [url, credential, query, count = Infinity] = process.argv.slice(2);
const client = createClient({ url, headers: { authorization: `Bearer ${credential}` }, retryAttempts: 0 });

try {
  let seen = 0;
  for await (const { data, errors } of client.iterate({ query })) {
    console.log(JSON.stringify({ data, errors }));
    if (++seen >= count) break;
  }
  console.log(JSON.stringify("over"));
} catch (error) {
  console.log(JSON.stringify({ status: error.response?.status, message: error.message }));
}
