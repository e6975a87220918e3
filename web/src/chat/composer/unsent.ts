/** What was written for a conversation and not sent goes with it. */
import { session } from '../../api/session.svelte';
import { KeptFiles } from '../../api/unsent_files';
import { browserStorage, Drafts } from '../drafts';

export function forgetUnsent(conversation: string): void {
  const person = session.person?.id ?? '';
  new Drafts(browserStorage(), person).keep(conversation, '');
  void new KeptFiles(person).keep(conversation, []);
}
