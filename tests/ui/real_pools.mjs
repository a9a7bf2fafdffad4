// The page of pools of a real monitor beside a real failover; tests/e2e/test_pools.py brings both. SENTINEL_CONTROL takes
// POSTs: /hold opens a connection to s1 that stays, /leave ends it, /stop and /start are the failover's.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {launch, openReal, order as orderOf} from './browser.mjs';

const {SENTINEL_URL: url, SENTINEL_CONTROL: control, SENTINEL_TOKEN: token} = process.env;
const PATIENCE = 60_000;

const order = (what) => orderOf(control, what);
let browser, page;
before(async () => {
  browser = await launch();
  page = await openReal(browser, url, PATIENCE);
});
after(() => browser?.close());

const row = () => page.locator('tr', {has: page.getByRole('rowheader', {name: /^s1\b/})});
const state = (text) => row().getByText(text, {exact: true}).waitFor();
const confirm = (text) => page.locator('dialog').getByRole('button', {name: text, exact: true}).click();

test('a server is drained by clicking, and its connections are counted down to none', async () => {
  await page.goto(`${url}#failover`);
  await page.locator('.c-live').waitFor();
  await state('up');
  await order('hold');
  await page.getByRole('button', {name: 'Drain s1'}).click();
  await page.locator('dialog input[name=token]').fill(token);
  await confirm('Drain');
  await state('draining');
  await row().getByText('1 connection left.').waitFor();
  await row().getByText('By the dashboard').waitFor();
  await page.getByText('2 servers in use of 3').waitFor();
  await order('leave');
  await state('drained');
  await row().getByText('No connection is left.').waitFor();
  assert.equal(page.loads, 1);
});

test('it is made ready, and is back', async () => {
  await page.getByRole('button', {name: 'Make s1 ready'}).click();
  await confirm('Ready');
  await state('up');
  await page.getByText('3 servers in use of 3').waitFor();
  await page.getByRole('button', {name: 'Drain s1'}).waitFor();
  assert.equal(page.loads, 1);
});

test('that the failover does not answer is said, and what is shown is called old', async () => {
  await order('stop');
  const note = page.getByRole('status').filter({hasText: 'The failover does not answer: there is no socket at '});
  await note.getByText('What is shown is of ').waitFor();
  await state('up');
  await page.getByRole('button', {name: 'Drain s1'}).click();
  await confirm('Drain');
  await page.locator('dialog').getByRole('alert').getByText('the failover does not answer').waitFor();
  await confirm('Cancel');
  await order('start');
  await note.waitFor({state: 'detached'});
  await state('up');
  assert.deepEqual(page.faults, []);
  assert.equal(page.loads, 1);
});
