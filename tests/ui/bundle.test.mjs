// What is built: small, the same each time, and nothing in it that the policy forbids.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {test} from 'node:test';
import {gunzipSync} from 'node:zlib';
import {DIST} from './browser.mjs';

const files = (folder) => ['index.html.gz', ...readdirSync(join(folder, 'ui')).map((name) => `ui/${name}`)].sort();

test('below 60 KB, compressed', (t) => {
  const sizes = files(DIST).map((name) => statSync(join(DIST, name)).size);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  t.diagnostic(`${all} bytes in ${sizes.length} files`);
  assert.equal(sizes.length, 3);
  assert.ok(all < 60_000, `${all} bytes`);
});

test('built twice, the same bytes', () => {
  const again = mkdtempSync(join(tmpdir(), 'ui-'));
  execFileSync(process.execPath, [new URL('../../monitor/web/ui/build.mjs', import.meta.url).pathname, again]);
  assert.deepEqual(files(again), files(DIST));
  for (const name of files(DIST)) assert.ok(readFileSync(join(again, name)).equals(readFileSync(join(DIST, name))), name);
});

test('no inline script or style, no address of others', () => {
  const page = gunzipSync(readFileSync(join(DIST, 'index.html.gz'))).toString();
  assert.doesNotMatch(page, /<style|style=|<script>|\son\w+=/);
  for (const name of files(DIST)) {
    const text = gunzipSync(readFileSync(join(DIST, name))).toString();
    for (const [address] of text.matchAll(/https?:\/\/[a-z0-9./-]+/g)) assert.match(address, /^http:\/\/www\.w3\.org\//, `${name} names ${address}`);
    assert.doesNotMatch(text, /\beval\(|new Function\(|innerHTML\s*=\s*[^"'`]{0,3}[a-z]\.(reason|text)/, name);
  }
});
