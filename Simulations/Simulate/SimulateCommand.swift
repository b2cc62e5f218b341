import ArgumentParser
import SimulationHarness

/// The simulator's command line.
@main
struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Runs the production core on virtual networks, disks and clocks.",
        subcommands: [
            RunCommand.self, SoakCommand.self, FairnessCommand.self, StudyCommand.self,
            ValidateCommand.self, SwimCommand.self,
        ])
}
