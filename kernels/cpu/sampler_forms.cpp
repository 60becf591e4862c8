#include "kernels/cpu/sampler_forms.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/checked.h"
#include "kernels/sampler_quantize.h"
#include "kernels/sampler_stream.h"

namespace sbm::kernels::cpu {
namespace {

constexpr std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

}  // namespace

void CellSampler::prepare(const QuantizedKeys& keys, PhiloxKey stream, MaskLaw law,
                          std::uint32_t exploration, CellForm form) {
  keys_ = keys;
  stream_ = stream;
  law_ = law;
  exploration_ = exploration;
  form_ = form;
  costs_ = form_costs(keys.clusters);
  has_tiles_ = has_coarse_ = has_bounds_ = false;

  const std::int64_t blocks = ceil_divide(keys.count(), kBlockKeys);
  valid_bits_.assign(size(blocks), 0);
  valid_keys_ = 0;
  least_exponent_ = kLargestMembershipExponent;
  for (std::int64_t key = 0; key < keys.count(); ++key) {
    if (!keys.is_valid(key)) continue;
    ++valid_keys_;
    least_exponent_ = std::min<int>(least_exponent_, keys.exponents[size(key)]);
    valid_bits_[size(key / kBlockKeys)] |= std::uint64_t{1} << (key % kBlockKeys);
  }
  std::uint64_t* products = call_products_.reserve(size(blocks * 8));
  for (std::int64_t call = 0; call < blocks * 8; ++call) {
    products[call] = call_product(stream, static_cast<std::uint32_t>(call));
  }
}

void CellSampler::pack_for(CellForm form) {
  const std::lock_guard<std::mutex> lock(pack_mutex_);
  if (form == CellForm::kEveryCell && !has_tiles_) {
    tiles_.count = keys_.count();
    tiles_.clusters = keys_.clusters;
    pack_tiles(keys_.entries, keys_.stride, TileOrder::kSlots, tiles_);
    std::int32_t slots[kBlockKeys];
    list_cell_slots(slots);
    std::int32_t* exponents = slot_exponents_.reserve(size(blocks() * kBlockKeys));
    std::fill_n(exponents, blocks() * kBlockKeys, kLargestMembershipExponent);
    for (std::int64_t key = 0; key < keys_.count(); ++key) {
      exponents[key / kBlockKeys * kBlockKeys + slots[key % kBlockKeys]] =
          keys_.exponents[size(key)];
    }
    has_tiles_ = true;
  } else if (form == CellForm::kCoarse && !has_coarse_) {
    pack_coarse(keys_.entries, keys_.exponents.data(), keys_.count(), keys_.clusters, coarse_);
    has_coarse_ = true;
  } else if (form == CellForm::kScreened && !has_bounds_) {
    bound_keys(keys_.entries, keys_.exponents.data(), valid_bits_.data(), keys_.count(),
               keys_.clusters, bounds_);
    has_bounds_ = true;
  }
}

CellsCall CellSampler::new_call() const {
  CellsCall call;
  call.blocks = blocks();
  call.clusters = keys_.clusters;
  call.valid_bits = valid_bits_.data();
  call.call_products = call_products_.data();
  call.entries = keys_.entries;
  call.key_exponents = keys_.exponents.data();
  call.least_key_exponent = least_exponent_;
  call.stream = stream_;
  call.law = law_;
  call.exploration = exploration_;
  call.tiles = &tiles_;
  call.coarse = &coarse_;
  return call;
}

void CellSampler::add_row(const CellRow& row, CellsCall& call) {
  const int i = call.rows++;
  call.row_numbers[i] = row.number;
  // Sums of whole groups of rows are computed: the rest repeat the last one.
  std::fill(call.weights + i, call.weights + kGroupRows, row.weights.weights);
  call.exponents[i] = row.weights.exponent;
  call.may_saturate[i] = row.may_saturate;
  call.edges[i] = row.edges;
  call.saturated[i] = row.saturated;
  call.thresholds[i] = row.thresholds;
}

CellForm CellSampler::dense_form(const CellRow& row) const {
  const bool can_be_coarse =
      std::isfinite(costs_.coarse) &&
      fits_coarse(row.weights.weights, keys_.clusters, row.weights.exponent + least_exponent_);
  const bool wants_coarse = form_ == CellForm::kCoarse ||
                            (form_ != CellForm::kEveryCell && costs_.coarse < costs_.every_cell);
  return can_be_coarse && wants_coarse ? CellForm::kCoarse : CellForm::kEveryCell;
}

void CellSampler::draw(std::span<const CellRow> rows, FormScratch& scratch) {
  // A group in two forms passes over the keys twice, so a small gain is none.
  constexpr float kMargin = 1.2F;
  // Bounds are worth their time only if they would win with half as many candidates again as edges:
  // of mixed memberships they let through twice as many.
  constexpr float kLeastLooseness = 1.5F;
  const auto keys = static_cast<float>(keys_.count());
  const auto screened_cost = [&](float candidates) {
    return kMargin * (costs_.screened * keys + costs_.candidate * candidates);
  };
  CellForm dense_forms[kGroupRows];
  float dense_costs[kGroupRows];
  bool wants_bounds = form_ == CellForm::kScreened;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    dense_forms[i] = dense_form(rows[i]);
    dense_costs[i] =
        (dense_forms[i] == CellForm::kCoarse ? costs_.coarse : costs_.every_cell) * keys;
    // POISSON needs the exact threshold of every edge, for its gate.
    if (law_ == MaskLaw::kPoisson) dense_costs[i] += costs_.candidate * rows[i].expected;
    if (form_ == CellForm::kFastest &&
        screened_cost(kLeastLooseness * rows[i].expected) < dense_costs[i]) {
      wants_bounds = true;
    }
  }
  float candidates[kGroupRows] = {};
  const std::int64_t stride = round_up(blocks(), kBlockKeys);
  if (wants_bounds) {
    pack_for(CellForm::kScreened);
    CellsCall all = new_call();
    for (const CellRow& row : rows) add_row(row, all);
    bound_rows(all, bounds_, stride, scratch.bound_sums.reserve(size(kGroupRows * stride)),
               scratch.limits.reserve(size(kGroupRows * stride)), candidates);
  }
  CellsCall every_cell = new_call();
  CellsCall coarse = new_call();
  CellsCall screened = new_call();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (form_ == CellForm::kScreened ||
        (wants_bounds && screened_cost(candidates[i]) < dense_costs[i])) {
      screened.limits[screened.rows] =
          scratch.limits.data() + static_cast<std::int64_t>(i) * stride;
      add_row(rows[i], screened);
    } else {
      add_row(rows[i], dense_forms[i] == CellForm::kCoarse ? coarse : every_cell);
    }
  }
  if (screened.rows > 0) sample_screened(screened);
  if (coarse.rows > 0) {
    pack_for(CellForm::kCoarse);
    sample_coarsely(coarse);
  }
  if (every_cell.rows > 0) {
    pack_for(CellForm::kEveryCell);
    every_cell.slot_exponents = slot_exponents_.data();
    sample_every_cell(every_cell);
  }
}

}  // namespace sbm::kernels::cpu
