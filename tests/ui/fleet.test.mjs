// A thousand services: the page stays small and quick. Figures are printed; only what does not depend on the machine's
// load is asserted.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {ScriptedApi} from './api.mjs';
import {DIST, launch, open, WITHIN} from './browser.mjs';
import {fleet} from './world.mjs';

let browser, api, page;
before(async () => {
  browser = await launch();
  api = await new ScriptedApi(fleet(1000), DIST).start();
  page = await open(browser, api.url);
});
after(async () => {
  await browser?.close();
  await api?.stop();
});

const middle = (list, share) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))];

test('first paint', async (t) => {
  const paints = [];
  for (let i = 0; i < 5; ++i) {
    await page.goto('about:blank');
    await page.goto(api.url);
    await page.locator('.row').first().waitFor();
    paints.push(await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))));
  }
  t.diagnostic(`1,000 services: ${Math.round(middle(paints, 0.5))} ms from navigation to the painted list (median of ${paints.length})`);
  assert.match(await page.locator('.headline p').innerText(), /1000 services watched/);
});

test('only rows in sight exist, from top to bottom', async (t) => {
  const count = () => page.locator('.row').count();
  assert.ok(await count() < 60, `${await count()} rows`);
  const last = await page.evaluate(() => {
    scrollTo(0, document.body.scrollHeight);
    return document.body.scrollHeight;
  });
  assert.ok(last > 50_000, `${last} px`);
  await page.locator('[data-row][aria-posinset="1025"]').waitFor();
  assert.ok(await count() < 60, `${await count()} rows`);
  t.diagnostic(`${await page.evaluate(() => document.querySelectorAll('*').length)} elements in all`);
  await page.evaluate(() => scrollTo(0, 0));
  await page.locator('[data-row][aria-posinset="1"]').waitFor();
});

test('from a change to the screen', async (t) => {
  const times = [];
  await page.evaluate(() => {
    window.seen = {};
    const look = () => {
      const text = document.querySelector('main').innerText;
      for (const [, mark] of text.matchAll(/change (\d+) of/gi)) window.seen[mark] ??= Date.now();
    };
    new MutationObserver(look).observe(document.querySelector('main'), {subtree: true, childList: true, characterData: true});
  });
  const name = api.services[0].full_name;
  for (let i = 0; i < 100; ++i) {
    const at = Date.now();
    // Twenty at once, as a busy host has them; the one that is looked for comes last.
    for (let other = 1; other < 20; ++other) api.change(api.services[other * 31].full_name, {restarts: i});
    api.change(name, {state: 'unhealthy', reason: `change ${i} of 100`});
    await page.waitForFunction((mark) => window.seen[mark], String(i), {timeout: WITHIN, polling: 5});
    times.push(await page.evaluate((mark) => window.seen[mark], String(i)) - at);
  }
  t.diagnostic(`20 changes among 1,000 services: on the screen after ${middle(times, 0.5)} ms (median), ${middle(times, 0.95)} ms (95 of 100)`);
  assert.equal(times.length, 100);
});

test('all of them at once', async (t) => {
  const at = Date.now();
  for (const one of api.services) api.change(one.full_name, {state: 'unhealthy', reason: 'all at once'});
  await page.getByRole('heading', {name: '1000 services do not work'}).waitFor();
  t.diagnostic(`1,000 changes at once: on the screen after ${Date.now() - at} ms`);
  assert.deepEqual(page.faults, []);
  assert.deepEqual(api.problems, []);
});
