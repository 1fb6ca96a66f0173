// The page in a real browser: its script runs under its own policy, tabs switch, tables sort, tips show, nothing overflows.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderReport } from '../../../src/evaluation/report/render.ts';
import { fixture } from './fixture.ts';

const executablePath = '/usr/bin/chromium';
const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];

describe.skipIf(!existsSync(executablePath))('in a browser (skipped where Chromium is not installed)', () => {
  const attack = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
  const folder = mkdtempSync(join(tmpdir(), 'maskrank-report-'));
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: [...args, ...quiet] });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(width: number, text: (plain: string) => string = (plain) => plain) {
    const file = join(folder, `report-${width}.html`);
    writeFileSync(file, renderReport(fixture({ cases: 12, text })));
    const page = await browser.newPage({ viewport: { width, height: 800 } });
    const problems: string[] = [];
    page.on('console', (message) => problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) problems.push(request.url());
    });
    await page.goto(pathToFileURL(file).href);
    return { page, problems };
  }

  it('switches tabs, sorts by the full value, shows tips and enlarges pictures', async () => {
    const { page, problems } = await open(1280);
    const tabs = page.locator('#stages [role=tab]');
    expect(await tabs.allTextContents()).toEqual(['Per image', 'Pooled']);
    expect(await page.locator('#averaging-pooled').isVisible()).toBe(false);
    await tabs.nth(1).click();
    expect(await page.locator('#averaging-pooled').isVisible()).toBe(true);
    expect(await page.locator('#averaging-image').isVisible()).toBe(false);

    await page.locator('#cases summary').click();
    const head = page.locator('#cases thead th').nth(1);
    const values = () =>
      page
        .locator('#cases tbody tr')
        .evaluateAll((rows) => rows.map((row) => Number(row.children[1]?.getAttribute('data-sort'))));
    const falling = (await values()).toSorted((a, b) => b - a);
    await head.locator('button').click();
    expect(await values()).toEqual(falling);
    expect(await head.getAttribute('aria-sort')).toBe('descending');
    await head.locator('button').click();
    expect(await values()).toEqual(falling.toReversed());

    await page.locator('circle.pair').first().hover({ force: true });
    expect(await page.locator('.tip.on').textContent()).toMatch(
      /^busi_\w+\n[\d.]+ → [\d.]+ \([+−]?[\d.]+\)$/,
    );
    await page.locator('.zoom').first().click();
    expect(await page.locator('dialog[open] p').textContent()).toMatch(/: Image$/);
    await page.locator('dialog').click();
    expect(await page.locator('dialog[open]').count()).toBe(0);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('runs nothing that stands in a name, and never scrolls sideways', async () => {
    for (const width of [1280, 390]) {
      const { page, problems } = await open(width, (plain) => `${plain}${attack}`);
      expect(await page.title()).toContain('maskrank report');
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
      expect(problems).toEqual([]);
      await page.close();
    }
  });
});
