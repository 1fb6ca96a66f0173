import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coordinate, escapeText, html, join } from '../../../src/evaluation/report/html.ts';
import { parseFragment, textOf } from './strict-html.ts';

describe('html', () => {
  it('escapes every value in text and in attributes', () => {
    const hostile = `<img src=x onerror="alert('1')">&amp;`;
    expect(html`<b title="${hostile}">${hostile}</b>`.markup).toBe(
      '<b title="&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp;">&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp;</b>',
    );
  });

  it('writes nothing for missing values, lists in order, and does not escape markup twice', () => {
    expect(html`${undefined}${null}${false}${0}${['a', html`<i>&amp;</i>`, ['<']]}`.markup).toBe(
      '0a<i>&amp;</i>&lt;',
    );
    expect(join(['a', undefined, 'b'], ', ').markup).toBe('a, b');
  });

  it('replaces control characters, half characters and marks that turn the reading direction', () => {
    expect(escapeText('a\u0000b\u202ec\ud800d\u2066')).toBe('a\ufffdb\ufffdc\ufffdd\ufffd');
    expect(escapeText('line\nbreak\tand 😀 é 肝')).toBe('line\nbreak\tand 😀 é 肝');
  });

  it('property: any text comes back from the page as it was, in text and in an attribute', () => {
    const anyText = fc.string({ unit: 'binary', maxLength: 40 });
    fc.assert(
      fc.property(anyText, (text) => {
        const kept = text.replace(/[^\P{C}\n\t\r]/gu, '').replace(/\p{Cf}|\p{Co}|\p{Cn}/gu, '');
        const element = parseFragment(html`<p title="${kept}">${kept}</p>`.markup);
        expect(element.attributes.get('title')).toBe(kept);
        expect(element.children.join('')).toBe(kept);
        expect(() => parseFragment(html`<p title="${text}">${text}</p>`.markup)).not.toThrow();
      }),
    );
  });

  it('refuses a coordinate that is not finite and writes short ones', () => {
    expect(coordinate(1 / 3)).toBe('0.33');
    expect(coordinate(-0.001)).toBe('0');
    expect(() => coordinate(Number.NaN)).toThrow('coordinate is NaN');
    expect(textOf(parseFragment('<p>a<b> b </b></p>'))).toBe('a b');
  });
});
