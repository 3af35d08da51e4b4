# The host name of a request says which database it is about, as in `e5b2c1f0a97d31c4.localhost`.

# Rack middleware: a request gets a connection of its own to its episode's database, closed before the answer is sent,
# so that nothing is shared between episodes and the database can be dropped.
class Tenants
  HOST = /\A(e[0-9a-f]{16})\.localhost(?::\d+)?\z/

  def initialize(application)
    @application = application
  end

  # Serves a request. A host that is no episode's gets 404; the health check needs none.
  def call(env)
    return said(200, "ok") if env["PATH_INFO"] == "/healthz"

    found = HOST.match(env["HTTP_HOST"].to_s)
    return said(404, "no such episode") if found.nil?

    Tenants.connected(found[1]) { complete(*@application.call(env)) }
  end

  # Runs a block in which the thread's models are those of a database.
  def self.connected(database)
    before = ActiveRecord::Base.connection_handler
    handler = ActiveRecord::ConnectionAdapters::ConnectionHandler.new
    ActiveRecord::Base.connection_handler = handler
    RequestStore.clear!
    Thread.current.thread_variable_set(:rl_loop_database, database)
    handler.establish_connection(Tenants.address(database))
    yield
  ensure
    handler.clear_all_connections!
    Thread.current.thread_variable_set(:rl_loop_database, nil)
    RequestStore.clear!
    ActiveRecord::Base.connection_handler = before
  end

  # Where a database is.
  def self.address(database)
    {
      adapter: "postgresql",
      host: ENV.fetch("RL_LOOP_POSTGRES"),
      port: 5432,
      username: "postgres",
      database: database,
      pool: 2,
      connect_timeout: 10,
      reaping_frequency: nil,
      prepared_statements: false,
      variables: { statement_timeout: 30_000 }
    }
  end

  # Database of the thread's request.
  def self.database
    Thread.current.thread_variable_get(:rl_loop_database) || ENV["RL_LOOP_DATABASE"] || "no-episode"
  end

  private

  # The whole answer: what makes its parts needs the connection.
  def complete(status, headers, body)
    parts = []
    body.each { |part| parts << part }
    [status, headers, parts]
  ensure
    body.close if body.respond_to?(:close)
  end

  def said(status, text)
    [status, { "Content-Type" => "text/plain" }, [text]]
  end
end

# Values of a request, in the shape of a hash: takes the place of caches that all requests of a process share.
class OfRequest
  def initialize(name)
    @name = name
  end

  def [](key)
    values[key.to_s]
  end

  def []=(key, value)
    values[key.to_s] = value
  end

  def clear
    values.clear
  end

  private

  def values
    RequestStore.store[@name] ||= {}
  end
end
