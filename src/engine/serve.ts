/** The engine of the API. */
export async function main(): Promise<void> {}
