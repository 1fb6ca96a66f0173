// Fixture nnunet_planner: every decision of both planners for four datasets, and the topology alone for 25 sizes and spacings.

import {
  type Configuration,
  PLANNERS,
  type Plan,
  planExperiment,
  planTopology,
} from '../models/nnunet/index.ts';
import { compareElements, compareExact, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

/** The fixture's names of planners, configurations and schemes, and ours. */
const PLANNER = { ExperimentPlanner: 'default', nnUNetPlannerResEncM: 'residual-m' } as const;
const CONFIGURATION = { '2d': '2d', '3d_fullres': '3d' } as const;
const SCHEME = { 'z-score': 'ZScoreNormalization', ct: 'CTNormalization' } as Readonly<
  Record<string, string>
>;
const SPACING = { absolute: 1e-9, relative: 0 };

function compareConfiguration(
  fixture: Fixture,
  where: string,
  plan: Plan,
  name: keyof typeof CONFIGURATION,
  // biome-ignore lint/suspicious/noExplicitAny: a decision of the fixture's JSON
  reference: any,
): CheckResult[] {
  const got = plan[CONFIGURATION[name]] as Configuration;
  const { network } = got;
  const exact: Readonly<Record<string, [ArrayLike<number>, ArrayLike<number>]>> = {
    batch_size: [[got.batchSize], [reference.batch_size]],
    patch_size: [got.patch, reference.patch_size],
    median_image_size_in_voxels: [got.medianShape, reference.median_image_size_in_voxels],
    batch_dice: [[Number(got.batchDice)], [Number(reference.batch_dice)]],
    features_per_stage: [network.features, reference.features_per_stage],
    kernel_sizes: [network.kernelSizes.flat(), reference.kernel_sizes.flat()],
    strides: [network.strides.flat(), reference.strides.flat()],
    n_conv_or_blocks_per_stage: [network.blocksEncoder, reference.n_conv_or_blocks_per_stage],
    n_conv_per_stage_decoder: [network.blocksDecoder, reference.n_conv_per_stage_decoder],
    num_pool_per_axis: [got.poolings, reference.num_pool_per_axis],
    normalization_schemes: [
      plan.normalisation.map(({ scheme }, i) =>
        Number(SCHEME[scheme] === reference.normalization_schemes[i]),
      ),
      reference.normalization_schemes.map(() => 1),
    ],
    use_mask_for_norm: [
      plan.normalisation.map(({ insideMask }) => Number(insideMask)),
      reference.use_mask_for_norm.map(Number),
    ],
  };
  const stored = ['batch_size', 'patch_size', 'strides'] as const;
  return [
    ...Object.entries(exact).map(([key, [ours, theirs]]) => compareExact(`${where}.${key}`, ours, theirs)),
    compareElements(`${where}.spacing`, got.spacing, reference.spacing, SPACING),
    ...stored.map((key) =>
      compareExact(`out/${where}.${key}`, exact[key]?.[0] ?? [], numbers(fixture, `out/${where}.${key}`)),
    ),
  ];
}

function comparePlan(fixture: Fixture, dataset: string, planner: keyof typeof PLANNER): CheckResult[] {
  const { dataset_json: about, fingerprint, plans } = fixture.json.datasets[dataset];
  const plan = planExperiment(
    {
      spacings: fingerprint.spacings,
      shapesAfterCrop: fingerprint.shapes_after_crop,
      medianShareAfterCrop: fingerprint.median_relative_size_after_cropping,
    },
    {
      channelNames: Object.values(about.channel_names),
      labels: Object.keys(about.labels).length,
      trainingImages: about.numTraining,
    },
    PLANNERS[PLANNER[planner]],
  );
  const reference = plans[planner];
  const where = `${dataset}.${planner}`;
  const names = Object.keys(reference.configurations) as (keyof typeof CONFIGURATION)[];
  return [
    compareExact(`${where}: number of configurations`, [plan['3d'] === undefined ? 1 : 2], [names.length]),
    compareExact(`${where}.transpose_forward`, plan.transposeForward, reference.transpose_forward),
    compareExact(`${where}.transpose_backward`, plan.transposeBackward, reference.transpose_backward),
    compareElements(
      `${where}.spacing`,
      plan.medianSpacing,
      reference.original_median_spacing_after_transp,
      SPACING,
    ),
    compareExact(`${where}.shape`, plan.medianShape, reference.original_median_shape_after_transp),
    ...names.flatMap((name) =>
      compareConfiguration(fixture, `${where}.${name}`, plan, name, reference.configurations[name]),
    ),
  ];
}

// biome-ignore lint/suspicious/noExplicitAny: rows of the fixture's JSON
function compareTopology(row: any, i: number): CheckResult[] {
  const got = planTopology(row.spacing, row.patch_size, 4);
  const where = `topology ${i}`;
  return [
    compareExact(`${where}.num_pool_per_axis`, got.poolings, row.num_pool_per_axis),
    compareExact(`${where}.pool_op_kernel_sizes`, got.strides.flat(), row.pool_op_kernel_sizes.flat()),
    compareExact(`${where}.conv_kernel_sizes`, got.kernelSizes.flat(), row.conv_kernel_sizes.flat()),
    compareExact(`${where}.padded_patch_size`, got.patch, row.padded_patch_size),
    compareExact(`${where}.must_be_divisible_by`, got.divisor, row.must_be_divisible_by),
  ];
}

export const nnunetPlanner: GoldenCheck = {
  covers: (name) => name === 'nnunet_planner',
  run: (fixture) => [
    ...Object.keys(fixture.json.datasets).flatMap((dataset) =>
      (Object.keys(PLANNER) as (keyof typeof PLANNER)[]).flatMap((planner) =>
        comparePlan(fixture, dataset, planner),
      ),
    ),
    ...fixture.json.get_pool_and_conv_props_min_feature_map_size_4.flatMap(compareTopology),
  ],
};
