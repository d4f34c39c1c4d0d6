// Reads an OpenAPI document from standard input and judges it with @apidevtools/swagger-parser: against the schema of OpenAPI, and by the
// rules that the schema cannot say. Prints one JSON line; exit 0 only if it is valid.
import { createRequire } from 'node:module';

const SwaggerParser = createRequire(import.meta.url)('@apidevtools/swagger-parser');
let text = '';
for await (const piece of process.stdin) text += piece;
try {
  const api = await SwaggerParser.validate(JSON.parse(text), { validate: { schema: true, spec: true } });
  const operations = Object.values(api.paths).flatMap((path) => Object.keys(path));
  console.log(JSON.stringify({ version: api.openapi, paths: Object.keys(api.paths).length, operations: operations.length }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error.message ?? error) }));
  process.exit(1);
}
