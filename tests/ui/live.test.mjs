// The page while things change: without reloading, with the connection lost, and for those who act.
import assert from 'node:assert/strict';
import {afterEach, beforeEach, before, after, test} from 'node:test';
import {ScriptedApi} from './api.mjs';
import {DIST, launch, open, WITHIN} from './browser.mjs';
import {household} from './world.mjs';

let browser, api, page;
before(async () => (browser = await launch()));
after(async () => browser?.close());
beforeEach(async () => {
  api = await new ScriptedApi(household(), DIST).start();
  page = await open(browser, api.url);
});
afterEach(async () => {
  const {faults} = page;
  await page.context().close();
  await api.stop();
  assert.deepEqual(faults, []);
  assert.deepEqual(api.problems, []);
});

const go = async (hash) => {
  await page.goto(`${api.url}${hash}`);
  await page.locator('.c-live').waitFor();
};
const card = (name) => page.locator('.trouble', {has: page.getByRole('link', {name, exact: true})});
const row = (name) => page.locator('.row', {hasText: name});
const confirm = (button) => page.locator('dialog').getByRole('button', {name: button, exact: true}).click();
const token = (value) => page.locator('dialog input[name=token]').fill(value);

test('what is down, since when, why, what was done and what comes next stand together', async () => {
  await go('#');
  const text = await card('shop/api').innerText();
  for (const part of ['recovering', 'since', '3 min', 'connection pool exhausted', 'Killed and started api, attempt 2 of 5', 'It has 60 s to become healthy', 'in 4']) {
    assert.ok(text.includes(part), `'${part}' is missing in: ${text}`);
  }
  assert.match(await page.locator('h1').innerText(), /3 services do not work/);
  assert.match(await page.title(), /^\(2\) Overview/);
});

test('a service turns, is healed and returns before the eyes', async () => {
  await go('#');
  let loads = 0;
  page.on('load', () => ++loads);
  api.change('shop/db/1', {state: 'unhealthy', reason: 'connection refused', decision: 'restart in 2 s'});
  await card('shop/db').getByText('Connection refused').waitFor();
  await card('shop/db').getByText('Restart in 2 s').waitFor();
  api.change('shop/db/1', {state: 'recovering', decision: 'it has 1 min to become healthy'});
  await card('shop/db').getByText('recovering').waitFor();
  // Where no incident tells what was done, the history does.
  api.tell('history', api.entry({service: 'shop/db/1', text: 'restarting db because: connection refused (restart 1 of 5)'}));
  await card('shop/db').getByText('Restarting db because: connection refused (restart 1 of 5)').waitFor();
  api.change('shop/db/1', {state: 'healthy', reason: 'all checks pass', decision: ''});
  await card('shop/db').waitFor({state: 'detached'});
  assert.equal(loads, 0);
});

test('services appear and go', async () => {
  await go('#');
  api.add('shop', 'newcomer', 'starting');
  await row('newcomer').waitFor();
  api.services = api.services.filter((one) => one.service !== 'newcomer');
  api.tell('gone', {full_name: 'shop/newcomer/1'});
  await row('newcomer').waitFor({state: 'detached'});
});

test('a lost connection is said, and what was missed is fetched', async () => {
  await go('#service/shop/db/1');
  const entry = api.entry({service: 'shop/db/1', text: 'before the loss'});
  api.history.push(entry);
  api.tell('history', entry);
  await page.getByText('Before the loss').waitFor();
  api.drop();
  await page.getByRole('alert').getByText('Connection lost, reconnecting').waitFor();
  assert.match(await page.getByRole('alert').innerText(), /What you see was true at \d\d:\d\d/);
  await page.locator('.c-lost').waitFor();
  api.change('shop/db/1', {state: 'unhealthy', reason: 'it broke meanwhile'});
  api.resume();
  await page.locator('.c-live').waitFor({timeout: 30_000});
  await page.locator('.head').getByText('It broke meanwhile').waitFor();
  await page.locator('.entries').getByText('it broke meanwhile').waitFor();
  assert.equal(await page.getByRole('alert').count(), 0);
  assert.equal(api.lastEventIds.at(-1), entry.sequence);
});

test('a wrong token is refused and forgotten, the right one acts', async () => {
  await go('#service/shop/db/1');
  await page.getByRole('button', {name: 'Restart…'}).click();
  await token('a wrong token');
  await confirm('Restart');
  await page.getByRole('alert').getByText('This token was refused.').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem('sentinel-token')), null);
  assert.deepEqual(api.calls, []);
  await token(api.token);
  await page.locator('dialog input[name=reason]').fill('it is slow');
  await confirm('Restart');
  await page.locator('dialog').waitFor({state: 'detached'});
  assert.deepEqual(api.calls, [['POST', '/api/v1/services/shop/db/1/restart', {by: 'dashboard', reason: 'it is slow'}]]);
  await page.locator('.head').getByText('recovering', {exact: true}).waitFor();
  assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('right token')), false);
});

test('release, maintenance, silence and drain', async () => {
  await page.addInitScript((value) => sessionStorage.setItem('sentinel-token', value), api.token);
  await go('#service/infra/backup/1');
  await page.getByRole('button', {name: 'Release from quarantine…'}).click();
  await confirm('Release');
  await page.locator('.head').getByText('starting', {exact: true}).waitFor();
  await page.getByRole('button', {name: 'Maintenance…'}).click();
  await page.locator('dialog select[name=for]').selectOption('2h');
  await confirm('Begin');
  await page.locator('.head .badge').getByText('maintenance').waitFor();
  await page.getByRole('button', {name: 'End maintenance…'}).click();
  await confirm('End it');
  await page.locator('.head .badge').getByText('maintenance').waitFor({state: 'detached'});
  await page.getByRole('link', {name: 'Silence…'}).click();
  await page.getByRole('button', {name: 'Silence backup…'}).click();
  await confirm('Silence');
  await page.locator('.deliveries', {hasText: 'service is backup'}).waitFor();
  await page.getByRole('link', {name: 'Failover'}).click();
  await page.getByRole('button', {name: 'Drain alpha'}).first().click();
  await confirm('Drain');
  await page.locator('tr', {hasText: 'alpha'}).first().getByText('412 connections left.').waitFor();
  api.pools[0].servers[0].flows = 3;
  api.tell('pool', api.pools[0]);
  await page.locator('tr', {hasText: 'alpha'}).first().getByText('3 connections left.').waitFor();
  await page.getByRole('button', {name: 'Make alpha ready'}).click();
  await confirm('Ready');
  await page.getByRole('button', {name: 'Drain alpha'}).first().waitFor();
  const note = page.getByRole('status').filter({hasText: 'The failover does not answer: connection refused. Packets go on as it left them. What is shown is of '});
  api.tell('failover', api.failover = {configured: true, up: false, reason: 'connection refused', as_of: new Date().toISOString()});
  await note.waitFor();
  api.tell('failover', api.failover = {configured: true, up: true, reason: '', as_of: new Date().toISOString()});
  await note.waitFor({state: 'detached'});
  api.tell('gone', {full_name: 'pool:mail'});
  await page.getByRole('region', {name: 'Pool mail'}).waitFor({state: 'detached'});
  assert.deepEqual(api.calls.map(([method, path]) => `${method} ${path.slice(8)}`), ['POST services/infra/backup/1/release', 'POST maintenance', 'POST maintenance', 'POST silences', 'POST drain', 'POST ready']);
  assert.deepEqual(api.calls[3][2].match, [{label: 'project', op: 'equal', value: 'infra'}, {label: 'service', op: 'equal', value: 'backup'}]);
});

test('only what this monitor can do is offered', async () => {
  const status = api.status.bind(api);
  api.status = () => ({...status(), actions: []});
  await go('#service/infra/backup/1');
  await page.getByRole('button', {name: 'Maintenance…'}).waitFor();
  for (const name of [/^Restart/, /^Release/, /^Show now/]) assert.equal(await page.getByRole('button', {name}).count(), 0);
});

test('undelivered messages are tried again or dropped, receivers tested', async () => {
  await page.addInitScript((value) => sessionStorage.setItem('sentinel-token', value), api.token);
  await go('#alerts');
  await page.getByRole('button', {name: 'Send a test to ops-slack'}).click();
  await confirm('Send');
  await page.locator('.toast').getByText('a test is on its way to ops-slack').waitFor();
  await page.getByRole('button', {name: 'Drop message 41 to archive'}).click();
  await confirm('Drop');
  await page.getByRole('button', {name: 'Drop message 41 to archive'}).waitFor({state: 'detached'});
  assert.deepEqual(api.calls.map(([method, path]) => `${method} ${path.slice(8)}`), ['POST alerts/test', 'DELETE alerts/deliveries/41']);
});

test('what a container says is text', async () => {
  await go('#');
  const evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>';
  api.change('shop/db/1', {state: 'unhealthy', reason: evil, decision: evil, image: evil, container_name: evil});
  await card('shop/db').getByText(evil).first().waitFor();
  await page.getByRole('link', {name: 'shop/db', exact: true}).click();
  await page.locator('.head').getByText(evil).first().waitFor();
  await page.goto(`${api.url}#incident/${api.incidents[0].id}`);
  await page.locator('.output').getByText('<script>alert("a container wrote this")</script>').waitFor();
  assert.equal(await page.evaluate(() => window.hit), undefined);
  assert.equal(await page.locator('main img, main script').count(), 0);
});

test('search, filters and keys', async () => {
  await go('#');
  await row('cache').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('mail');
  await row('smtp').waitFor();
  await row('cache').waitFor({state: 'detached'});
  await page.getByRole('searchbox').fill('');
  await page.getByRole('button', {name: /^quarantined/}).click();
  assert.equal(await page.locator('.row').count(), 1);
  await page.getByRole('button', {name: /^quarantined/}).click();
  await page.locator('.row').nth(2).waitFor();
  await page.locator('.row').first().focus();
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.evaluate(() => [...document.querySelectorAll('.row')].indexOf(document.activeElement)), 1);
  await page.keyboard.press('Enter');
  await page.locator('.head h1').waitFor();
  await page.waitForFunction(() => document.activeElement.id === 'main');
});

test('the status page shows what was chosen, and asks for nothing else', async () => {
  await page.goto(`${api.url}status`);
  await page.getByRole('heading', {name: 'Some services are down'}).waitFor();
  assert.deepEqual(await page.locator('.public-list b').allInnerTexts(), ['Shop', 'Mail', 'Name service']);
  assert.deepEqual([...new Set(api.requests.filter((path) => path.startsWith('/api')))], ['/api/v1/status-page']);
  assert.equal((await page.content()).includes('pool exhausted'), false);
});

test('what the status page calls things is text, whatever it says', async () => {
  const hostile = '<img src=x onerror="throw 1"></b>"><script>throw 2</script>';
  const honest = api.statusPage;
  api.statusPage = () => {
    const shown = honest.call(api);
    shown.title = `title ${hostile}`;
    shown.services[0].name = `name ${hostile}`;
    shown.incidents[0].services = [`gone ${hostile}`];
    return shown;
  };
  await page.goto('about:blank');
  await page.goto(`${api.url}status`);
  for (const word of ['title', 'name', 'gone']) await page.getByText(`${word} ${hostile}`, {exact: true}).waitFor();
  assert.equal(await page.locator('#app img, #app script').count(), 0);
  api.statusPage = honest;
});

test('a service that does not exist is said so', async () => {
  await page.goto(`${api.url}#service/shop/nothing/1`);
  await page.getByText('nothing is here').waitFor({timeout: WITHIN});
});
