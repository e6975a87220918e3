import { named } from '../named';
import account from './account.json';
import catalogue from './catalogue.json';
import chat from './chat.json';
import common from './common.json';
import studio from './studio.json';
import { typeset } from './typeset';

export default named({ common, account, chat, studio }, typeset);
/** What the shipped catalogue says, by its English words: an entry of the same name may say something else. */
export const told = Object.fromEntries(
  Object.entries(catalogue).map(([english, french]) => [english, typeset(french)]),
);
