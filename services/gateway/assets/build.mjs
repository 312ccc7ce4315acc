// Builds the browser side: src/ -> dist/, every file named by its content, with manifest.json telling the names.
//
//   src/app.js, src/app.css   bundled and minified; a dynamic import() becomes a file of its own
//   src/icons.json            names of lucide icons -> icons.json: name -> the inside of its <svg>, for the templates
//   src/static/**             copied as they are
//
// dist/manifest.json maps the name a template uses ("app.js", "app.css", "favicon.svg") to the file to serve.
// dist/LICENSES.txt holds the notices of what is bundled.
// Each text file has .gz and .br twins beside it, so that serving one costs no compression.

import { createHash } from "node:crypto";
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "src");
const target = join(here, "dist");
const work = join(here, "dist.new");
const compressible = new Set([".css", ".js", ".svg", ".txt", ".webmanifest"]);

const named = (name, data) => {
  const extension = extname(name);
  const hash = createHash("sha256").update(data).digest("hex").slice(0, 8).toUpperCase();
  return `${name.slice(0, -extension.length || undefined)}-${hash}${extension}`;
};

const readJson = async (path, absent) => {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return absent;
    throw new Error(`${relative(here, path)}: ${error.message}`);
  }
};

const filesUnder = async (folder) => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
};

async function bundle(manifest) {
  const result = await esbuild.build({
    absWorkingDir: here,
    entryPoints: [join(source, "app.js"), join(source, "app.css")],
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    target: ["es2022", "chrome111", "firefox113", "safari16.4"],
    outdir: work,
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    loader: { ".svg": "file", ".png": "file", ".webp": "file", ".woff2": "file" },
    legalComments: "linked",
    metafile: true,
    logLevel: "warning",
  });
  for (const [path, output] of Object.entries(result.metafile.outputs)) {
    if (output.entryPoint) manifest[basename(output.entryPoint)] = basename(path);
  }
}

async function icons() {
  const wanted = await readJson(join(source, "icons.json"), []);
  const drawings = await readJson(join(here, "node_modules/lucide-static/icon-nodes.json"), {});
  const unknown = wanted.filter((name) => !drawings[name]);
  if (unknown.length) throw new Error(`src/icons.json: lucide has no icon named ${unknown.join(", ")}`);
  const inside = {};
  for (const name of [...new Set(wanted)].sort()) {
    inside[name] = drawings[name]
      .map(([tag, attributes]) => `<${tag}${Object.entries(attributes).map(([key, value]) => ` ${key}="${value}"`).join("")}/>`)
      .join("");
  }
  await writeFile(join(work, "icons.json"), `${JSON.stringify(inside, null, 1)}\n`);
}

async function statics(manifest) {
  const folder = join(source, "static");
  for (const path of await filesUnder(folder)) {
    const name = relative(folder, path).replaceAll("\\", "/");
    manifest[name] = named(name, await readFile(path));
    await mkdir(dirname(join(work, manifest[name])), { recursive: true });
    await cp(path, join(work, manifest[name]));
  }
}

async function licences() {
  const texts = [];
  for (const name of ["htmx.org", "lucide-static"]) {
    const text = await readFile(join(here, "node_modules", name, "LICENSE"), "utf8");
    texts.push(`${name}\n${"=".repeat(name.length)}\n\n${text.trim()}\n`);
  }
  await writeFile(join(work, "LICENSES.txt"), texts.join("\n\n"));
}

async function compress() {
  for (const path of await filesUnder(work)) {
    if (!compressible.has(extname(path))) continue;
    const data = await readFile(path);
    await writeFile(`${path}.gz`, gzipSync(data, { level: 9 }));
    await writeFile(`${path}.br`, brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: data.length } }));
  }
}

async function build() {
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  const manifest = {};
  await bundle(manifest);
  await icons();
  await statics(manifest);
  await licences();
  await compress();
  const sorted = Object.fromEntries(Object.entries(manifest).sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeFile(join(work, "manifest.json"), `${JSON.stringify(sorted, null, 2)}\n`);
  await rm(target, { recursive: true, force: true });
  await rename(work, target);
  for (const [name, file] of Object.entries(sorted)) console.log(`${name} -> dist/${file}`);
}

try {
  await build();
} catch (error) {
  // esbuild has printed its own findings, with their places.
  if (!error.errors) console.error(`build: ${error.message}`);
  await rm(work, { recursive: true, force: true });
  process.exit(1);
}
