/**
 * The part of Standard Schema v1 (standardschema.dev) that the client needs. Zod, Valibot, ArkType and others implement it, so a
 * schema of any of them gives a codec its types and its checks, and the client depends on none.
 */

export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

type TypesOf<Schema extends StandardSchema> = NonNullable<Schema["~standard"]["types"]>;
export type InputOf<Schema extends StandardSchema> = TypesOf<Schema>["input"];
export type OutputOf<Schema extends StandardSchema> = TypesOf<Schema>["output"];
