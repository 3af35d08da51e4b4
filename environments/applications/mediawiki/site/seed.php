<?php
// Fills the wiki that the installer has made: users, revisions with fixed times, protections, blocks, deletions.

require_once getenv( 'WIKI_ROOT' ) . '/usr/share/mediawiki/maintenance/Maintenance.php';

use MediaWiki\MediaWikiServices;
use MediaWiki\Permissions\UltimateAuthority;
use Wikimedia\Timestamp\ConvertibleTimestamp;

class Seed extends Maintenance {
	private const MODULES = '/^(skins\.vector|mediawiki|oojs|jquery|startup)/';
	private array $world;
	private User $actor;
	private array $users = [];

	public function __construct() {
		parent::__construct();
		$this->addArg( 'world', 'File with the data, as JSON' );
	}

	public function execute() {
		$this->world = json_decode( file_get_contents( $this->getArg( 0 ) ), true, 512, JSON_THROW_ON_ERROR );
		$this->actor = User::newFromName( $this->world['actor'] );
		StubGlobalUser::setUser( $this->actor );
		$this->backdate();
		$this->makeUsers();
		foreach ( $this->world['edits'] as $number => $edit ) {
			$this->edit( $edit, $number + 2 );
		}
		ConvertibleTimestamp::setFakeTime( $this->world['end'] );
		$this->administer();
		$this->signIn();
		while ( ( $left = $this->runJobs() ) > 0 ) {
			$this->output( "$left jobs\n" );
		}
		SiteStatsInit::doAllAndCommit( $this->getDB( DB_PRIMARY ) );
		ConvertibleTimestamp::setFakeTime( false );
		$this->warm();
	}

	/** Gives what the installer made a time before the first edit. */
	private function backdate(): void {
		$database = $this->getDB( DB_PRIMARY );
		$time = $database->timestamp( '20230101070000' );
		$columns = [
			'revision' => 'rev_timestamp', 'recentchanges' => 'rc_timestamp', 'logging' => 'log_timestamp',
			'user' => 'user_registration'
		];
		foreach ( $columns as $table => $column ) {
			$database->update( $table, [ $column => $time ], '*', __METHOD__ );
		}
	}

	/** Editors with the ids that the tasks expect, and without a password. */
	private function makeUsers(): void {
		ConvertibleTimestamp::setFakeTime( '20230101080000' );
		foreach ( $this->world['editors'] as $place => $name ) {
			$user = User::createNew( $name );
			$id = $this->world['first_editor'] + $place;
			$this->check( $user && $user->getId() === $id && $user->getActorId() === $id, "the user $name has the id $id" );
			$this->users[$name] = $user;
		}
		$user = $this->actor;
		$this->check( $user->getId() === 1 && $user->getActorId() === 1, 'the user who is signed in has the id 1' );
		MediaWikiServices::getInstance()->getUserGroupManager()->addUserToMultipleGroups( $user, [ 'sysop', 'bureaucrat' ] );
	}

	private function edit( array $edit, int $revision ): void {
		ConvertibleTimestamp::setFakeTime( $edit['time'] );
		$page = $this->page( $edit['title'] );
		$status = $page->doUserEditContent(
			ContentHandler::makeContent( $edit['text'], $page->getTitle() ),
			$this->users[$edit['user']],
			$edit['summary']
		);
		$this->check( $status->isGood(), "an edit of {$edit['title']}: {$status->getWikiText()}" );
		$this->check(
			$page->getId() === $edit['page'] && $page->getLatest() === $revision,
			"{$edit['title']} has the id {$edit['page']} and the revision $revision, found {$page->getId()} and {$page->getLatest()}"
		);
	}

	private function administer(): void {
		$services = MediaWikiServices::getInstance();
		$authority = new UltimateAuthority( $this->actor );
		$watched = $services->getWatchedItemStore();
		foreach ( $this->world['watched'] as $title ) {
			$watched->addWatch( $this->actor, Title::newFromText( $title ) );
			$watched->addWatch( $this->actor, Title::newFromText( "Talk:$title" ) );
		}
		foreach ( $this->world['protected'] as $title ) {
			$cascade = false;
			$never = [ 'edit' => 'infinity', 'move' => 'infinity' ];
			$limits = [ 'edit' => 'sysop', 'move' => 'sysop' ];
			$status = $this->page( $title )->doUpdateRestrictions( $limits, $never, $cascade, 'Too many quarrels', $this->actor );
			$this->check( $status->isGood(), "the protection of $title" );
		}
		foreach ( $this->world['blocked'] as $name ) {
			$block = $services->getBlockUserFactory()->newBlockUser( $name, $authority, 'infinite', 'Quarrels', [
				'isCreateAccountBlocked' => true, 'isAutoblocking' => false
			] );
			$this->check( $block->placeBlockUnsafe()->isGood(), "the block of $name" );
		}
		foreach ( $this->world['deleted'] as $title ) {
			$deletion = $services->getDeletePageFactory()->newDeletePage( $this->page( $title ), $authority );
			$this->check( $deletion->deleteUnsafe( 'No such quarry' )->isGood(), "the deletion of $title" );
		}
	}

	/** The cookie with the token signs the user in. */
	private function signIn(): void {
		$row = [ 'user_token' => $this->world['token'] ];
		$this->getDB( DB_PRIMARY )->update( 'user', $row, [ 'user_id' => 1 ], __METHOD__ );
	}

	/** Compiles style sheets and scripts: their cache is a table, which is cloned with the rest, and shall not expire. */
	private function warm(): void {
		$loader = MediaWikiServices::getInstance()->getResourceLoader();
		foreach ( preg_grep( self::MODULES, $loader->getModuleNames() ) as $name ) {
			foreach ( [ null, 'styles' ] as $only ) {
				$wanted = [ 'lang' => 'en', 'skin' => 'vector', 'modules' => $name ] + ( $only ? [ 'only' => $only ] : [] );
				$context = new ResourceLoaderContext( $loader, new FauxRequest( $wanted ) );
				$loader->makeModuleResponse( $context, [ $name => $loader->getModule( $name ) ] );
			}
		}
		DeferredUpdates::doUpdates();
		$this->getDB( DB_PRIMARY )->query( "UPDATE objectcache SET exptime = '2099-01-01'", __METHOD__ );
	}

	/** Runs what has been put off; returns how many jobs are left. */
	private function runJobs(): int {
		DeferredUpdates::doUpdates();
		MediaWikiServices::getInstance()->getJobRunner()->run( [ 'maxJobs' => 5000, 'throttle' => false ] );
		return array_sum( MediaWikiServices::getInstance()->getJobQueueGroup()->getQueueSizes() );
	}

	private function page( string $title ): WikiPage {
		return MediaWikiServices::getInstance()->getWikiPageFactory()->newFromTitle( Title::newFromText( $title ) );
	}

	private function check( bool $holds, string $what ): void {
		if ( !$holds ) {
			$this->fatalError( "The wiki can't be filled as planned: expected that $what." );
		}
	}
}

$maintClass = Seed::class;
require_once RUN_MAINTENANCE_IF_MAIN;
