// Copies the scripts that graphiql.html pins from node_modules to where the server looks for them, packed.
// A page's address "https://unpkg.com/react@18.2.0/umd/x.js" is the file node_modules/react/umd/x.js of version 18.2.0.

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const WEB = dirname(fileURLToPath(import.meta.url));
const GATEWAY = join(WEB, "..", "gateways", "graphql");
const ASSETS = join(GATEWAY, "assets");
const PIN = /"https:\/\/unpkg\.com\/(?<path>(?<name>[^@"]+)@(?<version>[^/"]+)\/(?<file>[^"]+))"\s+integrity="(?<integrity>[^"]+)"/g;

function install({ path, name, version, file, integrity }) {
  const origin = join(WEB, "node_modules", name);
  const installed = JSON.parse(readFileSync(join(origin, "package.json"), "utf8")).version;
  if (installed !== version) throw new Error(`the page wants ${name} ${version}, package.json has ${installed}`);
  const content = readFileSync(join(origin, file));
  const found = `sha384-${createHash("sha384").update(content).digest("base64")}`;
  if (found !== integrity) throw new Error(`the page pins another ${path} than this one, ${found}`);
  const target = join(ASSETS, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(`${target}.gz`, gzipSync(content, { level: 9 }));
  copyFileSync(join(origin, "LICENSE"), join(ASSETS, `${name}@${version}`, "LICENSE"));
}

const page = readFileSync(join(GATEWAY, "graphiql.html"), "utf8");
const pins = [...page.matchAll(PIN)].map((match) => match.groups);
rmSync(ASSETS, { recursive: true, force: true });
pins.forEach(install);
console.log(`GraphiQL: ${pins.length} files in ${ASSETS}`);
