/** How a block of code reaches the canvas: the page offers a function, the blocks take it. Neither knows the other. */
import { getContext, setContext } from 'svelte';

export interface OfferedCode {
  text: string;
  /** What the fence named, lower case; empty for a whole answer. */
  label: string;
}

export type Opener = (code: OfferedCode) => void;

const KEY = Symbol('open beside');

export function offerOpener(opener: Opener): void {
  setContext(KEY, opener);
}

export function offeredOpener(): Opener | undefined {
  return getContext<Opener | undefined>(KEY);
}
