/** What the shipped catalogue says, by its English words: an entry of the same name may say something else. */
import { named } from '../named';
import catalogue from './catalogue.json';
import shipped from './shipped.json';
import { typeset } from './typeset';

const [english, french] = [named(shipped), named(catalogue, typeset)];

export default Object.fromEntries(
  Object.entries(english).map(([name, words]) => [words, french[name] ?? words]),
);
