import { flushSync, mount, tick, unmount, type Component } from 'svelte';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { setLanguage } from '../i18n/index.svelte';
import Field from './Field.svelte';
import Menu from './Menu.svelte';
import { dismiss, toast, toasts } from './toast.svelte';

beforeAll(() => setLanguage('en'));

let shown: Record<string, unknown> | null = null;
function show<Props extends Record<string, any>>(
  component: Component<Props, any, any>,
  props: Props,
): HTMLElement {
  shown = mount(component, { target: document.body, props });
  flushSync();
  return document.body;
}
afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
});

describe('Menu', () => {
  // The document of these tests knows no top layer; what a menu holds does not depend on it.
  beforeAll(() => {
    HTMLElement.prototype.showPopover ??= () => {};
  });

  async function open(page: HTMLElement): Promise<void> {
    page.querySelector('button')!.click();
    await tick();
  }

  it('makes its items when it is opened, not before', async () => {
    const page = show(Menu, { label: 'Menu', items: [{ label: 'One' }] });
    const list = document.getElementById(page.querySelector('button')!.getAttribute('aria-controls')!)!;
    expect(list.childElementCount).toBe(0);
    await open(page);
    expect(list.querySelectorAll('[role=menuitem]')).toHaveLength(1);
    expect(document.activeElement?.textContent?.trim()).toBe('One');
    list.dispatchEvent(Object.assign(new Event('toggle'), { newState: 'closed' }));
    flushSync();
    expect(list.childElementCount).toBe(0);
    expect(document.activeElement).toBe(page.querySelector('button'));
  });

  it('shows items of the same name, and script in a name as text', async () => {
    const page = show(Menu, {
      label: 'Menu',
      items: ['Light', 'Light', '<img src=x onerror=alert(1)>'].map((label) => ({ label })),
    });
    await open(page);
    const rows = [...page.querySelectorAll('[role=menuitem]')].map((row) => row.textContent?.trim());
    expect(rows).toEqual(['Light', 'Light', '<img src=x onerror=alert(1)>']);
    expect(page.querySelector('img')).toBeNull();
  });

  it('marks the chosen one of several', async () => {
    const page = show(Menu, {
      label: 'Menu',
      items: [
        { label: 'A', checked: true },
        { label: 'B', checked: false },
      ],
    });
    await open(page);
    const states = [...page.querySelectorAll('[role=menuitemradio]')].map((row) =>
      row.getAttribute('aria-checked'),
    );
    expect(states).toEqual(['true', 'false']);
  });
});

describe('Field', () => {
  it('ties label, hint and error to the control', () => {
    const page = show(Field, { label: 'Name', hint: 'as you like', error: 'is missing' });
    const input = page.querySelector('input')!;
    expect(page.querySelector('label')!.htmlFor).toBe(input.id);
    expect(input.getAttribute('aria-invalid')).toBe('true');
    const notes = input.getAttribute('aria-describedby')!.split(' ');
    expect(notes.map((id) => document.getElementById(id)?.textContent)).toEqual([
      'is missing',
      'as you like',
    ]);
  });

  it('shows a password only when asked', () => {
    const page = show(Field, { label: 'Password', type: 'password' });
    expect(page.querySelector('input')!.type).toBe('password');
    page.querySelector('button')!.click();
    flushSync();
    expect(page.querySelector('input')!.type).toBe('text');
  });
});

describe('toast', () => {
  it('tells once that it went, and not when its action was taken', () => {
    const gone = vi.fn();
    const first = toast('Deleted', { gone, action: { label: 'Undo', run: () => {} } });
    dismiss(first, true);
    expect(gone).not.toHaveBeenCalled();
    const second = toast('Deleted', { gone });
    dismiss(second);
    dismiss(second);
    expect(gone).toHaveBeenCalledOnce();
  });

  it('keeps a few; the oldest gives way and is told so', () => {
    const gone = vi.fn();
    toast('first', { gone });
    for (let more = 0; more < 4; more++) toast(`note ${more}`);
    expect(gone).toHaveBeenCalledOnce();
    expect(toasts.shown).toHaveLength(4);
  });
});
