import { named } from '../named';
import account from './account.json';
import chat from './chat.json';
import common from './common.json';
import studio from './studio.json';
import { typeset } from './typeset';

export default named({ common, account, chat, studio }, typeset);
