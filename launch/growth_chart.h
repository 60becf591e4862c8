#pragma once

#include <string>
#include <vector>

#include "trainer/attention_benchmark.h"

namespace sbm::launch {

/// An SVG of the step's time against the number of tokens, both axes logarithmic, with the line of
/// linear growth from the first length; readable on light and dark pages. `times` holds two or
/// more lengths, ascending.
std::string growth_chart(const std::vector<trainer::LengthTime>& times, const std::string& caption);

}  // namespace sbm::launch
