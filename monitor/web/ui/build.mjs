// Builds the dashboard: node build.mjs [DIRECTORY] (default: dist beside this file).
// One page, one script, one style sheet, each compressed as it is embedded and sent; the names of script and style
// sheet hold a hash of their content, so that browsers may keep them for ever.
import {createHash} from 'node:crypto';
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {gzipSync} from 'node:zlib';
import {build} from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, 'dist');

const result = await build({
  entryPoints: {app: join(here, 'src/main.tsx')},
  bundle: true,
  minify: true,
  write: false,
  outdir: '/',
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  logLevel: 'warning',
});

const names = {};
const files = [];
for (const file of result.outputFiles) {
  const kind = file.path.endsWith('.css') ? 'css' : 'js';
  const hash = createHash('sha256').update(file.contents).digest('hex').slice(0, 12);
  names[kind] = `app-${hash}.${kind}`;
  files.push([`ui/${names[kind]}`, file.contents]);
}
const page = readFileSync(join(here, 'src/index.html'), 'utf8')
  .replace('app.css', names.css).replace('app.js', names.js);
files.push(['index.html', Buffer.from(page)]);

rmSync(join(out, 'ui'), {recursive: true, force: true});
mkdirSync(join(out, 'ui'), {recursive: true});
let total = 0;
for (const [name, bytes] of files) {
  const packed = gzipSync(bytes, {level: 9});
  packed[9] = 255;  // of which system it is: none, so that each builds the same bytes
  total += packed.length;
  writeFileSync(join(out, `${name}.gz`), packed);
  console.log(`${name.padEnd(28)} ${String(bytes.length).padStart(7)} bytes, ${packed.length} compressed`);
}
console.log(`${total} bytes in all`);
