// @vitest-environment node
/** The code is run: by a shell, by Python and as JavaScript, each with a stand-in that tells what it was asked. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { python, shell, snippet } from '../src/studio/playground/snippets.ts';

const NASTY = `it's "quoted" \\ $HOME \`id\` ${'${x}'} $(id) \u2028 \n\t é 👋 '''""" </script> %s # {}`;
const ORIGIN = 'http://127.0.0.1:8400';
const BODY = {
  model: 'a-model',
  messages: [
    { role: 'system', content: NASTY },
    { role: 'user', content: '' },
  ],
  temperature: 0.5,
  top_p: 1,
  max_tokens: 100,
  random_seed: 7,
  response_format: {
    type: 'json_schema',
    json_schema: {
      name: 'answer',
      strict: true,
      schema: {
        type: 'object',
        properties: { first_name: { type: ['string', 'null'], 'odd key': true, default: null, enum: [] } },
        additionalProperties: false,
      },
    },
  },
};

const { random_seed: seed, ...unseeded } = BODY;
const FOR_OPENAI = { ...unseeded, seed, stream: true };

function ran(command, source) {
  // A shell that reads nothing may be gone before anything is written to it.
  const [given, input] = command === 'sh' ? [['-c', source], ''] : [['-'], source];
  return JSON.parse(execFileSync(command, given, { input, encoding: 'utf8' }));
}

describe('curl', () => {
  it('sends the request to the server, byte for byte', () => {
    const stand = 'curl() { for last; do :; done; printf %s "$last"; }\n';
    expect(ran('sh', stand + snippet('curl', BODY, ORIGIN))).toEqual({ ...BODY, stream: true });
    expect(snippet('curl', BODY, ORIGIN)).toContain(`'${ORIGIN}/v1/chat/completions'`);
  });

  it('is one word whatever stands in it', () => {
    const printed = execFileSync('sh', ['-c', `printf %s ${shell(NASTY)}`], { encoding: 'utf8' });
    expect(printed).toBe(NASTY);
  });
});

const STAND = `
import json, os, sys, types
os.environ["TRAMONTANE_API_KEY"] = "k"
class Told:
    def __init__(self, **given): self.given = given
    def __getattr__(self, name): return self
    def __call__(self, **asked):
        print(json.dumps({"client": self.given, "asked": asked})); sys.exit()
for name, client in (("mistralai.client", "Mistral"), ("openai", "OpenAI")):
    module = types.ModuleType(name); setattr(module, client, Told); sys.modules[name] = module
sys.modules["mistralai"] = types.ModuleType("mistralai")
`;

describe('Python', () => {
  it('asks through the Mistral library', () => {
    expect(ran('python3', STAND + snippet('mistral-python', BODY, ORIGIN))).toEqual({
      client: { api_key: 'k', server_url: ORIGIN },
      asked: BODY,
    });
  });

  it('asks through the OpenAI library', () => {
    expect(ran('python3', STAND + snippet('openai-python', BODY, ORIGIN))).toEqual({
      client: { api_key: 'k', base_url: `${ORIGIN}/openai/v1` },
      asked: FOR_OPENAI,
    });
  });

  it('has no halves of characters', () => {
    expect(python('\ud800x')).toBe('"\ufffdx"');
  });
});

/** Runs a TypeScript snippet (which is JavaScript but for its import) and gives what was asked. */
async function asked(source, name) {
  const told = [];
  const call = (given) => {
    told.push(given);
    return Promise.resolve([]);
  };
  const client = { chat: { stream: call, completions: { create: call } } };
  const body = source.replace(/^import .*\n/, '');
  const run = new Function(name, 'process', `return (async () => {${body}\n})()`);
  await run(
    function () {
      return client;
    },
    { env: {} },
  );
  return told[0];
}

describe('TypeScript', () => {
  it('asks through the OpenAI library', async () => {
    expect(await asked(snippet('openai-typescript', BODY, ORIGIN), 'OpenAI')).toEqual(FOR_OPENAI);
  });

  it('asks through the Mistral library, whose own fields are in camel case and a schema as it was', async () => {
    const format = BODY.response_format;
    expect(await asked(snippet('mistral-typescript', BODY, ORIGIN), 'Mistral')).toEqual({
      model: BODY.model,
      messages: BODY.messages,
      temperature: 0.5,
      topP: 1,
      maxTokens: 100,
      randomSeed: 7,
      responseFormat: {
        type: 'json_schema',
        jsonSchema: { name: 'answer', strict: true, schemaDefinition: format.json_schema.schema },
      },
    });
  });
});
