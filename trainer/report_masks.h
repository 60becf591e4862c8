#pragma once

#include <string>

#include "trainer/report_data.h"

namespace sbm::trainer {

/// For each layer and head the probabilities as a heat map beside the mask drawn from them. Cells
/// travel as base64 of one byte each and are painted by a few lines of script; scale 0 to the
/// largest P of the picture.
std::string render_masks(const ReportData& data);

}  // namespace sbm::trainer
