// Audits of GraphQL over HTTP: node audits.mjs URL [CREDENTIAL] prints the results as JSON.
import { auditServer } from "graphql-http";

const [url, credential] = process.argv.slice(2);

const fetchFn = (address, { headers, ...given } = {}) =>
  fetch(address, {
    ...given,
    headers: credential ? { ...headers, authorization: `Bearer ${credential}` } : headers,
  });

const results = await auditServer({ url, fetchFn });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
