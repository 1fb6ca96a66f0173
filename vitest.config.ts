import { defineConfig } from 'vitest/config';

// Tests run the TypeScript sources; the native addon is built by `npm run setup`.
export default defineConfig({
  ssr: { resolve: { conditions: ['@maskrank/source', 'node', 'import', 'default'] } },
  resolve: { conditions: ['@maskrank/source', 'node', 'import', 'default'] },
  test: {
    include: ['packages/*/test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
