// Every view, in both themes and at phone width: no violation of accessibility rules, nothing broken, a picture of each.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import axe from 'axe-core';
import {ScriptedApi} from './api.mjs';
import {DIST, launch, open} from './browser.mjs';
import {household} from './world.mjs';

const PICTURES = process.env.SENTINEL_SCREENSHOTS ?? '';
let browser, api;
before(async () => {
  browser = await launch();
  api = await new ScriptedApi(household(), DIST).start();
});
after(async () => {
  await browser?.close();
  await api?.stop();
});

/** Name, address, what is there when it is complete, and what else to do before one looks. */
const incident = () => api.incidents[0].id;
const VIEWS = [
  ['overview', () => '#', '.row .spark svg'],
  ['dependencies', () => '#', '.graph .node', (page) => page.getByRole('button', {name: 'Dependencies'}).click()],
  ['service', () => '#service/shop/api/1', '.plot canvas'],
  ['incidents', () => '#incidents', '.incident'],
  ['incident', () => `#incident/${incident()}`, '.entries li'],
  ['failover', () => '#failover', 'table'],
  ['alerts', () => '#alerts', '.deliveries li'],
  ['sentinel', () => '#sentinel', '.entries li'],
  ['dialog', () => '#service/shop/api/1', 'dialog', (page) => page.getByRole('button', {name: 'Restart…'}).click()],
  ['status-page', () => 'status', '.public-list li'],
];

async function view(page, [, address, ready, act]) {
  await page.goto('about:blank');
  await page.goto(api.url + address());
  if (act) await act(page);
  await page.locator(ready).first().waitFor();
  await page.locator('[aria-busy="true"]').first().waitFor({state: 'detached'});
}

async function violations(page, rules) {
  await page.evaluate(axe.source);
  const found = await page.evaluate((only) => globalThis.axe.run({resultTypes: ['violations'], preload: false, ...(only ? {runOnly: only} : {})}), rules);
  return found.violations.map(({id, nodes}) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
}

const picture = (page, name) => (PICTURES ? page.screenshot({path: `${PICTURES}/${name}.png`}) : undefined);

for (const one of VIEWS) {
  test(`${one[0]} is accessible, in both themes`, async () => {
    const page = await open(browser, api.url, {colorScheme: 'light'});
    await view(page, one);
    assert.deepEqual(await violations(page), []);
    await picture(page, one[0]);
    // Colours are all that differs.
    await page.emulateMedia({colorScheme: 'dark'});
    assert.match(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), /^rgb\([0-9], |^rgb\([1-3][0-9], /);
    assert.deepEqual(await violations(page, ['color-contrast']), []);
    if (one[0] === 'overview') await picture(page, 'overview-dark');
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

for (const one of VIEWS) {
  test(`${one[0]} fits a phone`, async () => {
    const page = await open(browser, api.url, {viewport: {width: 375, height: 720}, hasTouch: true, isMobile: true});
    // What is wrong comes first and may fill the window: the list below it is not there before one scrolls.
    await view(page, one[0] === 'overview' ? ['', one[1], '.trouble'] : one);
    if (one[0] === 'overview') {
      await page.locator('.long').scrollIntoViewIfNeeded();
      await page.locator('.row').first().waitFor();
    }
    const [wide, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= 375 && inner <= 375, `${wide} wide, at a window of ${inner}`);
    if (one[0] === 'overview') {
      await page.evaluate(() => scrollTo(0, 0));
      await picture(page, 'overview-phone');
    }
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

test('a violation would be found', async () => {
  const page = await open(browser, api.url);
  await view(page, VIEWS[0]);
  await page.evaluate(() => document.querySelector('header.top .brand').removeAttribute('aria-label'));
  await page.evaluate(() => {
    document.querySelector('header.top .brand').innerHTML = '<img src="data:,">';
    document.querySelector('h1').style.color = '#e0a0a0';
  });
  const found = await violations(page);
  for (const rule of ['image-alt', 'link-name', 'color-contrast']) assert.ok(found.some((one) => one.startsWith(rule)), `${rule} is not among ${found}`);
  await page.context().close();
});

test('what the API answered was as documented', () => assert.deepEqual(api.problems, []));
