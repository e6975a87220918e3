import { named } from '../named';
import account from './account.json';
import catalogue from './catalogue.json';
import chat from './chat.json';
import common from './common.json';
import shipped from './shipped.json';
import studio from './studio.json';
import { typeset } from './typeset';

export default named({ common, account, chat, studio }, typeset);
/** What the shipped catalogue says, by its English words: an entry of the same name may say something else. */
const [english, french] = [named(shipped), named(catalogue, typeset)];
export const told = Object.fromEntries(
  Object.entries(english).map(([name, words]) => [words, french[name] ?? words]),
);
