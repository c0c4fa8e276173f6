// A rule for `graphql-inspector diff`: a break may be, where the changelog names it under [Unreleased], as `Type.field`.
import { readFileSync } from 'node:fs';

const changelog = readFileSync(process.env.CHANGELOG, 'utf8');
const unreleased = changelog.split(/^## /m).find((part) => part.startsWith('[Unreleased]')) ?? '';
const named = new Set([...unreleased.matchAll(/`([^`]+)`/g)].map(([, name]) => name));

export default ({ changes }) =>
  changes.map((change) =>
    named.has(change.path) ? { ...change, criticality: { level: 'DANGEROUS', reason: 'in the changelog' } } : change,
  );
