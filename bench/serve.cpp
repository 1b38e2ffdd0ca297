#include "serve.hpp"

#include <attend/cpu/workers.hpp>
#include <chrono>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "computation.hpp"
#include "peak.hpp"
#include "version.hpp"

namespace bench {
namespace {

class Servant {
 public:
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "version") return version() + ", " + engine() + " engine";
    if (command == "peaks") return peaks();
    if (command == "bandwidth") return bandwidth(words);
    if (command == "threads") return threads(words);
    if (command == "row") return row(words);
    if (command == "path") return path(words);
    if (command == "time") return time(words);
    if (command == "out") return out(words);
    throw std::invalid_argument("no command '" + command + "'");
  }

 private:
  template <class T>
  static T next(std::istringstream& words, const char* what) {
    T value{};
    if (!(words >> value)) throw std::invalid_argument(std::string("expected ") + what);
    return value;
  }

  std::string peaks() const {
    std::string json;
    for (const Peak& peak : measure_peaks(attend::threads()))
      json += (json.empty() ? "" : ", ") + ("{\"instructions\": \"" + peak.instructions) +
              "\", \"dtype\": \"" + name(peak.dtype) +
              "\", \"flops\": " + std::to_string(peak.flops) + "}";
    return "[" + json + "]";
  }

  std::string bandwidth(std::istringstream& words) const {
    return std::to_string(read_bandwidth(next<std::int64_t>(words, "bytes"), attend::threads()));
  }

  std::string threads(std::istringstream& words) const {
    attend::set_threads(next<int>(words, "a number of threads"));
    return "ok";
  }

  std::string row(std::istringstream& words) {
    computation_.reset();
    Row row;
    attend::Problem& p = row.problem;
    const auto pass = next<std::string>(words, "forward, backward or training");
    row.pass = pass == "forward"    ? Pass::forward
               : pass == "backward" ? Pass::backward
                                    : Pass::training;
    p.dtype = dtype_of(next<std::string>(words, "an element type"));
    for (std::int64_t* size : {&p.batch, &p.heads, &p.heads_kv, &p.len_q, &p.len_k, &p.head_dim})
      *size = next<std::int64_t>(words, "a size");
    p.head_dim_v = p.head_dim;
    row.causal = next<int>(words, "causal, 0 or 1") != 0;
    const auto mask = next<std::string>(words, "none, padding or full");
    row.mask = mask == "none" ? Mask::none : mask == "padding" ? Mask::padding : Mask::full;
    row.extra = next<int>(words, "bias, 0 or 1") != 0 ? Extra::bias : Extra::none;
    computation_ = make_computation(row, read_inputs(row, next<std::string>(words, "a folder")));
    return "ok";
  }

  std::string path(std::istringstream& words) {
    const auto wanted = next<std::string>(words, "math, fused or choice");
    path_.reset();
    for (const attend::Path path : {attend::Path::math, attend::Path::fused})
      if (wanted == attend::name(path)) path_ = path;
    if (!path_ && wanted != "choice") throw std::invalid_argument("no path '" + wanted + "'");
    return "ok";
  }

  std::string time(std::istringstream& words) {
    using Clock = std::chrono::steady_clock;
    std::ostringstream seconds;
    for (int left = next<int>(words, "a number of calls"); left > 0; --left) {
      const Clock::time_point start = Clock::now();
      ready().run(path_);
      seconds << std::chrono::duration<double>(Clock::now() - start).count() << " ";
    }
    return seconds.str();
  }

  std::string out(std::istringstream& words) {
    const attend::Path ran = ready().run(path_);
    const std::vector<float> values = ready().output();
    std::ofstream file(next<std::string>(words, "a file"), std::ios::binary);
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(float)));
    if (!file.flush()) throw std::runtime_error("the output could not be written");
    return attend::name(ran);
  }

  Computation& ready() const {
    if (!computation_) throw std::invalid_argument("no row yet");
    return *computation_;
  }

  std::unique_ptr<Computation> computation_;
  std::optional<attend::Path> path_;
};

}  // namespace

int serve() {
  Servant servant;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << servant.answer(line) << std::endl;
    } catch (const std::exception& error) {
      std::cout << "error: " << error.what() << std::endl;
    }
  }
  return 0;
}

}  // namespace bench
