// @vitest-environment jsdom
import { describe, expect, it } from 'vitest';
import { patch } from './patch';
import { paintRuns, runsOf } from './runs';

function fragment(html: string): DocumentFragment {
  const template = document.createElement('template');
  template.innerHTML = html;
  return template.content;
}

describe('patching', () => {
  const steps = [
    '<p>On</p>',
    '<p>One <b>tw</b></p>',
    '<p>One <b>two</b> three</p>',
    '<p>One <b>two</b> three</p><ul><li>a</li></ul>',
    '<p>Other</p>',
    '',
  ];

  it('arrives at what is wanted, step by step', () => {
    const root = document.createElement('div');
    for (const step of steps) {
      patch(root, fragment(step));
      expect(root.innerHTML).toBe(step);
    }
  });

  it('keeps the nodes of what grows', () => {
    const root = document.createElement('div');
    patch(root, fragment('<p>Words</p>'));
    const paragraph = root.firstChild;
    const text = paragraph?.firstChild;
    patch(root, fragment('<p>Words that grow</p><p>More</p>'));
    expect(root.firstChild).toBe(paragraph);
    expect(paragraph?.firstChild).toBe(text);
  });
});

describe('coloured code', () => {
  it('is read from the highlighter and painted as text', () => {
    const runs = runsOf(
      '<span class="hljs-keyword">if</span> a &lt; <span class="hljs-string">&quot;<span class="hljs-subst">x</span>&quot;</span>',
    );
    expect(runs).toEqual([
      ['hl-keyword', 'if'],
      ['', ' a < '],
      ['hl-string', '"'],
      ['hl-subst', 'x'],
      ['hl-string', '"'],
    ]);
    const root = document.createElement('code');
    paintRuns(root, runs, '');
    const first = root.firstChild;
    paintRuns(root, runs, '\n<img src=x onerror=alert(1)>');
    expect(root.firstChild).toBe(first);
    expect(root.textContent).toBe('if a < "x"\n<img src=x onerror=alert(1)>');
    expect(root.querySelector('img')).toBeNull();
  });
});
