// The dashboard of a real monitor, which heals a real container; tests/e2e/test_page.py brings both. SENTINEL_CONTROL
// takes POSTs: /unhealthy lets the container fail, /drop breaks all connections and refuses new ones, /resume takes them.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import axe from 'axe-core';
import {POLICY} from './api.mjs';
import {launch, open, openReal, order as orderOf} from './browser.mjs';

const {SENTINEL_URL: url, SENTINEL_CONTROL: control, SENTINEL_SERVICE: name, SENTINEL_TOKEN: token} = process.env;
const PATIENCE = 90_000;  // of a healing on a busy machine

const order = (what) => orderOf(control, what);
let browser, page;
before(async () => {
  browser = await launch();
  page = await openReal(browser, url, PATIENCE);
});
after(() => browser?.close());

const row = () => page.locator('.row', {hasText: name});
const button = (text) => page.locator('dialog').getByRole('button', {name: text, exact: true});

test('it is failing, is healed and is healthy before the eyes, without a reload', async () => {
  const answer = await page.goto(url);
  assert.equal(answer.headers()['content-security-policy'], POLICY);
  await page.locator('.c-live').waitFor();
  await row().getByText('healthy', {exact: true}).waitFor();
  await page.getByRole('heading', {name: 'Everything works'}).waitFor();
  await page.evaluate((service) => {
    window.states = [];
    const look = () => {
      const one = [...document.querySelectorAll('.row')].find((other) => other.textContent.includes(service));
      const state = one?.querySelector('.state b').textContent;
      if (state && window.states.at(-1) !== state) window.states.push(state);
    };
    look();
    new MutationObserver(look).observe(document.querySelector('main'), {subtree: true, childList: true, characterData: true});
  }, name);
  await order('unhealthy');
  await page.waitForFunction(() => window.states.includes('recovering') && window.states.at(-1) === 'healthy');
  // It is restarted within milliseconds: that it was unhealthy may be over before the next frame.
  const states = await page.evaluate(() => window.states);
  assert.deepEqual(states.filter((state) => state !== 'unhealthy'), ['healthy', 'recovering', 'healthy']);
  await page.getByRole('heading', {name: 'Everything works'}).waitFor();
  assert.equal(page.loads, 1);
});

test('everybody may see that it failed and works again, and nothing else', async () => {
  const there = await open(browser, url);
  there.setDefaultTimeout(PATIENCE);
  const asked = new Set();
  there.on('request', (request) => asked.add(new URL(request.url()).pathname));
  const answer = await there.goto(`${url}status`);
  assert.equal(answer.headers()['content-security-policy'], POLICY);
  await there.getByText('Shop status').waitFor();
  await there.getByRole('heading', {name: 'Everything works'}).waitFor();
  assert.deepEqual(await there.locator('.public-list b').allInnerTexts(), ['Shop']);
  await there.locator('.public-list').getByText('works', {exact: true}).waitFor();
  await there.getByRole('img', {name: /^[12] of 90 days with outages/}).waitFor();
  assert.equal(await there.locator('.days rect').count(), 90);
  await there.getByRole('region', {name: 'Lately'}).locator('li', {hasText: 'Shop'}).filter({hasText: ', for '}).waitFor();
  assert.equal((await there.content()).includes(name), false);
  assert.deepEqual([...asked].filter((path) => path.startsWith('/api')), ['/api/v1/status-page']);
  await there.evaluate(axe.source);
  const found = await there.evaluate(() => globalThis.axe.run({resultTypes: ['violations'], preload: false}));
  assert.deepEqual(found.violations.map((one) => one.id), []);
  assert.deepEqual(there.faults, []);
  await there.context().close();
});

test('what was decided is told in words', async () => {
  await row().click();
  await page.locator('.head h1').getByText(name).waitFor();
  await page.locator('.entries').getByText(`estarting ${name} because: `).waitFor();
  await page.locator('.entries').getByText(/is healthy \(was unhealthy for /).waitFor();
  assert.equal(page.loads, 1);
});

test('a lost connection is said; what happened meanwhile is shown when it is back', async () => {
  await order('drop');
  await page.getByRole('alert').getByText('Connection lost, reconnecting').waitFor();
  await order('unhealthy');
  await order('resume');
  await page.locator('.c-live').waitFor();
  await page.getByRole('alert').waitFor({state: 'detached'});
  await page.locator('.entries').getByText('(restart 2 of 5)').first().waitFor();
  await page.locator('.head').getByText('healthy', {exact: true}).waitFor();
  assert.equal(page.loads, 1);
});

test('a wrong token is refused, the right one acts', async () => {
  await page.getByRole('button', {name: 'Maintenance…'}).click();
  const input = page.locator('dialog input[name=token]');
  await input.fill('not this one, but of a likely length');
  await button('Begin').click();
  await page.getByRole('alert').getByText('This token was refused.').waitFor();
  await input.fill(token);
  await button('Begin').click();
  await page.locator('.head .badge').getByText('maintenance').waitFor();
  await page.getByRole('button', {name: 'End maintenance…'}).click();
  await button('End it').click();
  await page.locator('.head .badge').getByText('maintenance').waitFor({state: 'detached'});
  assert.deepEqual(page.faults, []);
  assert.equal(page.loads, 1);
});

test('a restart that is asked for is done, with the reason in the history', async () => {
  await page.getByRole('button', {name: 'Restart…'}).click();
  await page.locator('dialog input[name=reason]').fill('only a test');
  await button('Restart').click();
  await page.locator('.entries').getByText('was asked for by dashboard: only a test').first().waitFor();
  await page.locator('.entries').getByText(`estarting ${name}, as was asked for (restart 3 of 5)`).first().waitFor();
  await page.locator('.head').getByText('healthy', {exact: true}).waitFor();
  assert.deepEqual(page.faults, []);
  assert.equal(page.loads, 1);
});
