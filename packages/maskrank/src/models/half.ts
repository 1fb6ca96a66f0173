// Weights in half precision, as networks that maskrank trains are written: half the bytes, and any network reads them.

import { fromTensorData, tidy, toTensorData } from '@maskrank/torch';
import type { TensorData } from '@maskrank/torch/io';

/** Tensors of numbers with a fraction as float16, copied; whole numbers stay. */
export const halved = (state: ReadonlyMap<string, TensorData>): Map<string, TensorData> =>
  tidy(
    () =>
      new Map(
        [...state].map(([name, data]) => [
          name,
          data.dtype.startsWith('F') ? toTensorData(fromTensorData(data).to('float16')) : data,
        ]),
      ),
  );
