// Debian's Chromium, and a page of the dashboard in it.
import assert from 'node:assert/strict';
import {chromium} from 'playwright-core';

export const DIST = process.env.SENTINEL_UI_DIST ?? '/tmp/dist';
export const WITHIN = 30_000;  // of anything that is waited for; generous, for machines are busy

export const launch = () => chromium.launch({
  executablePath: process.env.SENTINEL_CHROMIUM ?? '/usr/bin/chromium-headless-shell',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage'],
});

/** A page that fails its test when it breaks the policy, throws, or asks anybody but `url`. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({viewport: {width: 1360, height: 900}, reducedMotion: 'reduce', ...options});
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN);
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(`threw: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/net::ERR_|status of (4|5)\d\d/.test(message.text())) page.faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) page.faults.push(`asked ${request.url()}`);
  });
  return page;
}

/** A page of the real monitor at `url`, which counts how often it was loaded. */
export async function openReal(browser, url, patience) {
  const page = await open(browser, url);
  page.setDefaultTimeout(patience);
  page.loads = 0;
  page.on('load', () => ++page.loads);
  return page;
}

/** Has the test that brought the monitor do something; it answers when that is done. */
export async function order(control, what) {
  assert.equal((await fetch(control + what, {method: 'POST'})).status, 204);
}
