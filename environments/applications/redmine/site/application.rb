# Redmine as it runs here: its settings, and nothing that episodes would share.

REDMINE = ENV.fetch("RL_LOOP_REDMINE")

require "#{REDMINE}/config/application"
require_relative "tenants"

RedmineApp::Application.configure do
  config.paths["config/database"] = File.expand_path("database.yaml", __dir__)
  config.secret_key_base = "the tracker is reached from this machine only, and each episode has its own copy"
  config.logger = ActiveSupport::TaggedLogging.new(ActiveSupport::Logger.new($stderr))
  config.log_level = :warn
  config.public_file_server.enabled = true
  config.cache_store = :null_store
  config.redmine_search_cache_store = :null_store
  config.active_job.queue_adapter = :inline
  config.action_cable.mount_path = nil
  config.active_record.legacy_connection_handling = false
  config.after_initialize do
    Setting.instance_variable_set(:@cached_settings, OfRequest.new(:settings))
    Attachment.define_singleton_method(:storage_path) do
      File.join(ENV.fetch("RL_LOOP_FOLDER", Dir.tmpdir), "files", Tenants.database)
    end
  end
end

RedmineApp::Application.initialize!
