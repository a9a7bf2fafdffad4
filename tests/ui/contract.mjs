// Checks against docs/openapi.yaml: what the scripted API says must be what the real one may say.
import {readFileSync} from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import {parse} from 'yaml';

const file = new URL('../../docs/openapi.yaml', import.meta.url);
export const document = parse(readFileSync(file, 'utf8'));
const ajv = new Ajv.default({strict: false, allErrors: true});
formats.default(ajv);
ajv.addSchema({...document, $id: 'api'});

const escaped = (text) => text.replaceAll('~', '~0').replaceAll('/', '~1');
const compiled = new Map();

function check(pointer, value, what) {
  let validate = compiled.get(pointer);
  if (!validate) compiled.set(pointer, validate = ajv.compile({$ref: `api#${encodeURI(pointer)}`}));
  if (!validate(value)) throw new Error(`${what} is not what openapi.yaml says: ${ajv.errorsText(validate.errors)}`);
}

export const checkSchema = (name, value) => check(`/components/schemas/${name}`, value, name);

/** The documented path that `path` is an instance of; slashes of {name} stay slashes. */
export function documented(path) {
  const paths = Object.keys(document.paths).map((template) =>
    [template, new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{name\}/g, '.+').replace(/\{\w+\}/g, '[^/]+')}$`)]);
  return paths.filter(([, pattern]) => pattern.test(path)).sort((a, b) => b[0].length - a[0].length)[0]?.[0];
}

/** An answer of a documented call: the status must be one that is documented there, its body must fit. */
export function checkAnswer(method, path, status, body) {
  const template = documented(path);
  if (!template) throw new Error(`${path} is not in openapi.yaml`);
  const what = `${method} ${template}: ${status}`;
  const responses = document.paths[template][method.toLowerCase()]?.responses;
  if (!responses?.[status]) throw new Error(`${what} is not in openapi.yaml`);
  if (responses[status].$ref) return checkSchema('Problem', body);
  const content = responses[status].content;
  if (!content) {
    if (body !== undefined) throw new Error(`${what} has no body`);
    return undefined;
  }
  return check(`/paths/${escaped(template)}/${method.toLowerCase()}/responses/${status}/content/${escaped('application/json')}/schema`, body, what);
}
