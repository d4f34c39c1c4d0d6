// `godwitd init`: makes a data folder with everything an installation needs. Blocks; main thread only.
#pragma once

#include <string>
#include <vector>

#include "apps/godwitd/config.hpp"
#include "apps/godwitd/layout.hpp"
#include "core/trust/keys.hpp"
#include "core/trust/sealer.hpp"

namespace godwit::daemon {

struct InitOptions {
  std::vector<std::string>
      hosts{};      // names and addresses of this machine; the first goes into links. Empty: its host name
  Config config{};  // written to godwit.toml; api_host is set from hosts
};

/// All or nothing: the folder is made beside `data` and renamed into place. Made by root, it belongs to the owner of an
/// empty folder that was at its place, such as the one of the package. Errors: conflict when something is there
/// already, invalid_argument, io_failed, crypto_failed.
[[nodiscard]] Result<void> init(const Path& data, const InitOptions& options);

/// A name that tells keys of two installations apart: "root-1-5f0c2a9b".
[[nodiscard]] std::string key_name(std::string_view role, const trust::PublicKey& key);

/// Gives `what`, a file or a folder with all in it, to the owner of `place`, when this is root and the owner is not:
/// else the service could not read what root made for it. Errors: io_failed.
[[nodiscard]] Result<void> give_to_owner_of(const Path& place, const Path& what);

/// The sealer of the database's secrets. A folder without its key file gets a new one: then the store refuses a
/// database that was sealed with another. Errors: invalid_argument, io_failed.
[[nodiscard]] Result<trust::Sealer> load_or_make_sealer(const Layout& layout);

enum class Reader : std::uint8_t { starts_it, has_it_running, reads_a_log };
/// What was made, what belongs off-line, what to do next. The enrolment URL, a secret, is told to nobody but a person
/// at a terminal whose service runs.
[[nodiscard]] std::string describe_installation(const Layout& layout, Reader reader = Reader::starts_it);
/// "" or a sentence: this machine cannot look up the name by which devices shall reach it.
[[nodiscard]] std::string why_unreachable(const std::string& host);

}  // namespace godwit::daemon
