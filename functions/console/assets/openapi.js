// Reading an OpenAPI document: operations by noun, the fields of schemas, and examples as lines to type.

const METHODS = ['get', 'head', 'options', 'post', 'put', 'patch', 'delete'];
/** How deep schemas are looked into for their type's name: none of ours is as deep. */
const DEPTH_MAX = 8;

/** What a longer pattern means is said in words. */
const PATTERN_LEN_MAX = 40;

/** Follows references. */
export function resolve(document, value) {
  let at = value;
  for (let step = 0; at?.$ref && step < DEPTH_MAX; step += 1) {
    at = at.$ref.slice(2).split('/').reduce((from, name) => from?.[name], document);
  }
  return at ?? {};
}

/** All operations in the order of the nouns: `[{name, says, operations: [{id, method, path, told, answers}]}]`. */
export function inNouns(document) {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => {
      const told = methods[method];
      const answers = Object.entries(told.responses).map(([status, answer]) => [Number(status), resolve(document, answer)]);
      return { id: told.operationId, method, path, told, answers };
    }));
  return document.tags.map(({ name, description }) =>
    ({ name, says: description, operations: all.filter((operation) => operation.told.tags.includes(name)) }));
}

/** Tells whether an operation has these words in it. */
export function matches({ id, method, path, told }, words) {
  const text = `${id} ${method} ${path} ${told.summary}`.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** Takes away what only says that a value may be `null`, and tells whether it did. */
function withoutNull(document, schema) {
  if (schema.anyOf) {
    const [first] = schema.anyOf.filter((some) => some.type !== 'null');
    return [{ ...resolve(document, first), ...(schema.description && { description: schema.description }) }, true];
  }
  const at = schema.$ref ? { ...resolve(document, schema), ...(schema.description && { description: schema.description }) } : schema;
  if (!Array.isArray(at.type)) return [at, false];
  const { enum: words, ...rest } = at;
  const type = at.type.find((some) => some !== 'null');
  return [{ ...rest, type, ...(words && { enum: words.filter((word) => word !== null) }) }, true];
}

/** What kind of value a schema is of, in words. */
export function typeOf(document, schema, depth = 0) {
  const name = schema.$ref?.split('/').pop();
  const [at] = withoutNull(document, schema);
  if (at.type === 'array' && depth < DEPTH_MAX) return `list of ${typeOf(document, at.items, depth + 1)}`;
  return name ?? at.type ?? '';
}

function boundsOf(schema) {
  const between = (min, max, unit) => {
    if (min === undefined && max === undefined) return [];
    if (max === undefined) return min > 0 ? [`at least ${min}${unit}`] : [];
    return [`${min ?? 0} to ${max.toLocaleString('en')}${unit}`];
  };
  return [
    ...(schema.enum ? [schema.enum.join(' | ')] : []),
    ...between(schema.minLength, schema.maxLength, ' characters'),
    ...between(schema.minimum, schema.maximum, ''),
    ...between(schema.minItems, schema.maxItems, ' items'),
    ...(schema.pattern?.length <= PATTERN_LEN_MAX ? [schema.pattern] : []),
    ...(schema.default === undefined ? [] : [`default ${JSON.stringify(schema.default)}`]),
  ];
}

/** The fields of an object, or of the objects in a list; those that must be there come first. */
export function rows(document, schema) {
  let [at] = withoutNull(document, schema);
  if (at.type === 'array') [at] = withoutNull(document, at.items);
  const required = at.required ?? [];
  const names = [...required, ...Object.keys(at.properties ?? {}).filter((name) => !required.includes(name))];
  return names.filter((name) => at.properties?.[name]).map((name) => {
    const told = at.properties[name];
    const [field, isNullable] = withoutNull(document, told);
    const [item] = field.type === 'array' ? withoutNull(document, field.items) : [field];
    const kind = typeOf(document, told.anyOf ? told.anyOf[0] : told);
    return {
      name,
      type: isNullable && required.includes(name) ? `${kind} or null` : kind,
      required: required.includes(name),
      bounds: [...boundsOf(field), ...(item === field ? [] : boundsOf(item))],
      says: field.description,
      inside: item.properties ? item : null,
    };
  });
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Lines for a shell, one for each example of the body: `[{summary, text}]`. */
export function curl({ method, path, told }) {
  const parameters = (told.parameters ?? []).filter((parameter) => parameter.example !== undefined);
  const of = (place) => parameters.filter((parameter) => parameter.in === place);
  const where = of('path').reduce((text, { name, example }) => text.replace(`{${name}}`, encodeURIComponent(example)), path);
  const query = of('query').map(({ name, example }) => `${name}=${encodeURIComponent(example)}`).join('&');
  const url = `"$OVERAIR_URL${where}${query && `?${query}`}"`;
  const isOpen = told.security?.length === 0;
  const base = [
    ['curl', ...(method === 'head' ? ['--head'] : method === 'get' ? [] : ['-X', method.toUpperCase()]), url].join(' '),
    ...(isOpen ? [] : ['-H "Authorization: Bearer $OVERAIR_API_TOKEN"']),
    ...of('header').map(({ name, example }) => `-H ${quoted(`${name}: ${example}`)}`),
  ];
  const join = (lines) => lines.join(' \\\n  ');
  const [type, content] = Object.entries(told.requestBody?.content ?? {})[0] ?? [];
  if (!content) return [{ text: join(base) }];
  const isJson = type === 'application/json';
  return Object.values(content.examples ?? {}).map(({ summary, value }) => ({
    summary,
    text: join([
      ...base,
      ...(isJson ? [] : [`-H ${quoted(`Content-Type: ${type}`)}`]),
      isJson ? `-d ${quoted(JSON.stringify(value))}` : `--data-binary ${quoted(value)}`,
    ]),
  }));
}
