// Holds a value against the part of JSON Schema that our OpenAPI document uses.

type Schema = Record<string, unknown>;

/** Where the value is not what the schema says, and how; properties it does not name count, too. */
export function mismatches(document: object, schema: object, value: unknown, at = '$'): string[] {
  const rules = schema as Schema;
  if (typeof rules.$ref === 'string')
    return mismatches(document, resolved(document, rules.$ref), value, at);
  if (Array.isArray(rules.anyOf)) {
    const all = rules.anyOf.map((one) => mismatches(document, one, value, at));
    return all.some((found) => found.length === 0) ? [] : all.flat();
  }
  if (Array.isArray(rules.enum))
    return rules.enum.includes(value) ? [] : [`${at} is ${String(value)}, no value of the list`];
  const types = [rules.type].flat();
  if (!types.includes(typeOf(value)) && !(types.includes('number') && typeOf(value) === 'integer'))
    return [`${at} is ${typeOf(value)}, not ${types.join(' or ')}`];
  if (typeof value === 'string' && typeof rules.pattern === 'string')
    return new RegExp(rules.pattern).test(value) ? [] : [`${at} is "${value}"`];
  if (Array.isArray(value))
    return value.flatMap((one, i) =>
      mismatches(document, rules.items as Schema, one, `${at}[${i}]`),
    );
  if (typeof value !== 'object' || value === null || rules.properties === undefined) return [];
  const properties = rules.properties as Record<string, Schema>;
  const missing = (rules.required as string[]).filter((name) => !(name in value));
  return [
    ...missing.map((name) => `${at}.${name} is missing`),
    ...Object.entries(value).flatMap(([name, one]) =>
      properties[name] === undefined
        ? [`${at}.${name} is not in the document`]
        : mismatches(document, properties[name], one, `${at}.${name}`),
    ),
  ];
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

function resolved(document: object, reference: string): object {
  let found: unknown = document;
  for (const name of reference.replace('#/', '').split('/')) found = (found as Schema)[name];
  return found as object;
}
