// What brings payloads in and keeps them whole, as the configuration wants it. Built in run(); start() and stop() from
// there.
#pragma once

#include "apps/godwitd/config.hpp"
#include "server/service/import/blob_check.hpp"
#include "server/service/import/importer.hpp"

namespace godwit::daemon {

class Importing {
 public:
  /// `scanner`: as make_scanner() gives it.
  Importing(const Config& config, std::unique_ptr<service::Scanner> scanner, store::Store& store, blobs::Blobs& blobs,
            Clock& clock, Log& log, service::SigningIdentity identity, const Path& scratch);
  void start();
  void stop();

  [[nodiscard]] service::Importer& importer() { return importer_; }
  [[nodiscard]] service::BlobCheck& blob_check() { return blob_check_; }

 private:
  service::CurlFetcher fetcher_;
  std::unique_ptr<service::Scanner> scanner_;
  service::Importer importer_;
  service::BlobCheck blob_check_;
};

/// `scratch`: where files without a name may be made; on the disk of the blobs. Errors: invalid_argument (no such
/// scanner).
[[nodiscard]] Result<std::unique_ptr<Importing>> make_importing(const Config& config, store::Store& store,
                                                                blobs::Blobs& blobs, Clock& clock, Log& log,
                                                                service::SigningIdentity identity, const Path& scratch);

}  // namespace godwit::daemon
